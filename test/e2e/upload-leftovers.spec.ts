import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';
import { blobFiles, uploadFiles, uploadId } from '../support/stored-files.js';

const KIB = 1024;
/** More bytes than a driver keeps in an upload's row. */
const LAYER_BYTES = 100 * KIB;

describe('what uploads leave behind', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName('left');
  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const stateOf = async (id: string) => {
    const sql = 'SELECT state FROM uploads WHERE id = $1';
    return (await berth.query<{ state: string }>(sql, [id]))[0]?.state;
  };

  it('11. nothing after a cancel', async () => {
    const location = await client.startUpload(name);
    await client.patch(location, randomBytes(LAYER_BYTES));
    expect(await uploadFiles(berth)).toContain(uploadId(location));
    await client.fetch(location, { method: 'DELETE' });
    expect(await uploadFiles(berth)).not.toContain(uploadId(location));
  });

  it('9. nothing after a mismatch of a single POST: no client knows its session', async () => {
    const before = await uploadFiles(berth);
    const path = `/v2/${name}/blobs/uploads/?digest=${digestOf('this')}`;
    const response = await client.fetch(path, { method: 'POST', body: randomBytes(LAYER_BYTES) });
    expect(await refusal(response)).toBe('400 DIGEST_INVALID');
    expect(await uploadFiles(berth)).toEqual(before);
  });

  it('12. nothing after a client left its single POST', async () => {
    const before = await uploadFiles(berth);
    const added = async () => (await uploadFiles(berth)).filter((id) => !before.includes(id));
    const connection = await RawConnection.open(berth.url);
    const path = `/v2/${name}/blobs/uploads/?digest=${digestOf('whole')}`;
    const half = randomBytes(LAYER_BYTES);
    await connection.send(requestHead('POST', path, [['Content-Length', 2 * half.length]]), half);
    await until('its file', async () => (await added()).length > 0);
    const [id] = await added();
    connection.leave();
    await until('its end', async () => (await stateOf(String(id))) === 'cancelled');
    await until('no file', async () => (await added()).length === 0);
  });

  it('8. one object after 20 uploads of one layer at once, and no upload', async () => {
    const layer = randomBytes(300 * KIB);
    const digest = digestOf(layer);
    const push = async (index: number) => {
      if (index % 2 === 0) return client.pushBlob(`${name}/${index}`, layer);
      const location = await client.startUpload(`${name}/${index}`);
      await client.patch(location, layer.subarray(0, 100_000));
      const { status } = await client.commit(location, digest, layer.subarray(100_000));
      expect(status).toBe(201);
      return digest;
    };
    const before = await blobFiles(berth);
    const uploads = await uploadFiles(berth);
    await Promise.all(Array.from({ length: 20 }, (_, index) => push(index)));
    expect(await blobFiles(berth)).toHaveLength(before.length + 1);
    expect(await uploadFiles(berth)).toEqual(uploads);
    for (const index of [0, 7, 19])
      expect((await client.blob(`${name}/${index}`, digest)).equals(layer)).toBe(true);
  });

  it('8. any bytes, in any chunks and by any requests, are served under their digest', async () => {
    const upload = fc.record({
      bytes: fc
        .tuple(fc.integer({ min: 0, max: 300 * KIB }), fc.uint8Array({ minLength: 1, maxLength: 64 }))
        .map(([length, pattern]) => Buffer.alloc(length, pattern)),
      cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
      ranges: fc.boolean(),
      algorithm: fc.constantFrom('sha256' as const, 'sha512' as const),
      announced: fc.boolean(),
      lastByPut: fc.boolean(),
      slice: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    });
    await fc.assert(
      fc.asyncProperty(upload, async ({ bytes, cuts, ranges, algorithm, announced, lastByPut, slice }) => {
        const digest = digestOf(bytes, algorithm);
        const location = await client.startUpload(name, announced ? `?digest-algorithm=${algorithm}` : '');
        const ends = [...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        let start = 0;
        for (const end of lastByPut ? ends.slice(0, -1) : ends) {
          const range = ranges && end > start ? `${start}-${end - 1}` : undefined;
          expect((await client.patch(location, bytes.subarray(start, end), range)).status).toBe(202);
          start = end;
        }
        const rest = lastByPut ? bytes.subarray(start) : undefined;
        expect((await client.commit(location, digest, rest)).status).toBe(201);
        expect(digestOf(await client.blob(name, digest), algorithm)).toBe(digest);

        if (bytes.length === 0) return;
        const [first, last] = slice.map((at) => Math.floor(at * (bytes.length - 1))).sort((a, b) => a - b);
        const headers = { Range: `bytes=${first}-${last}` };
        const response = await client.fetch(`/v2/${name}/blobs/${digest}`, { headers });
        expect(response.status).toBe(206);
        expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(first, last! + 1))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});
