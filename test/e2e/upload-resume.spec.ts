import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { OwnBerth, type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { eventually, until } from '../support/until.js';
import { blobFiles, bytesArrived, uploadFile, uploadFiles, uploadId } from './support/stored-files.js';

const KIB = 1024;
/** More bytes than a driver keeps in an upload's row. */
const LAYER_BYTES = 100 * KIB;

describe('an interrupted upload', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName('resume');

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const rangeOf = async (location: string) => (await client.fetch(location)).headers.get('range');

  /** Sends the first part of a longer body. Resolves when the driver has it. */
  async function beginBody(method: string, path: string, begun: Uint8Array, length: number) {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead(method, path, [['Content-Length', length]]), begun);
    await bytesArrived(berth, path, begun.length);
    return connection;
  }

  it('12. a client that leaves in the middle of a PATCH finds every byte and resumes', async () => {
    const bytes = randomBytes(200 * KIB);
    const location = await client.startUpload(name);
    const connection = await beginBody('PATCH', location, bytes.subarray(0, 120_000), bytes.length);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-119999');
    const rest = await client.patch(location, bytes.subarray(120_000), `120000-${bytes.length - 1}`);
    expect(rest.status).toBe(202);
    expect((await client.commit(location, digestOf(bytes))).status).toBe(201);
    expect(digestOf(await client.blob(name, digestOf(bytes)))).toBe(digestOf(bytes));
  });

  it('12. a client that leaves in the middle of a PUT does not end its upload', async () => {
    const bytes = randomBytes(100 * KIB);
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const path = `${location}?digest=${digestOf(bytes)}`;
    await connection.send(
      requestHead('PUT', path, [['Content-Length', bytes.length]]),
      bytes.subarray(0, 40_000),
    );
    await bytesArrived(berth, location, 40_000);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-39999');
    expect((await client.commit(location, digestOf(bytes), bytes.subarray(40_000))).status).toBe(201);
  });

  it('12. a client that leaves a chunked body without its end does not end the upload', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PUT', `${location}?digest=${digestOf('half')}`, [
      ['Transfer-Encoding', 'chunked'],
    ]);
    await connection.send(head, httpChunk('half'));
    await bytesArrived(berth, location, 4);
    connection.leave();

    expect(
      await eventually(
        () => rangeOf(location),
        (range) => range !== '0-0',
      ),
    ).toBe('0-3');
    expect((await client.fetch(`/v2/${name}/blobs/${digestOf('half')}`)).status).toBe(404);
    expect((await client.commit(location, digestOf('half and half'), ' and half')).status).toBe(201);
  });

  it('12. a client that resumes at once does not wait for its dead connection', async () => {
    const location = await client.startUpload(name);
    const stuck = await beginBody('PATCH', location, Buffer.from('first '), 1_000);
    const back = await client.patch(location, 'second', '6-11');
    expect([back.status, back.headers.get('range')]).toEqual([202, '0-11']);
    // The older request had to release the session and reports that.
    const refused = await stuck.response();
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await refusal(refused)).toBe('429 TOOMANYREQUESTS');
    stuck.leave();
    expect((await client.commit(location, digestOf('first second'))).status).toBe(201);
  });

  it('12. two streams to one session at once never interleave', async () => {
    const [a, b] = [Buffer.alloc(150 * KIB, 'a'), Buffer.alloc(150 * KIB, 'b')];
    const location = await client.startUpload(name);
    const send = async (bytes: Buffer) => {
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('PATCH', location, [['Content-Length', bytes.length]]);
      await connection.send(head, bytes.subarray(0, KIB));
      // The server may stop reading; its response says so.
      await connection.send(bytes.subarray(KIB)).catch(() => undefined);
      const { status } = await connection.response();
      connection.leave();
      return status;
    };
    const statuses = await Promise.all([send(a), send(b)]);
    for (const status of statuses) expect([202, 429]).toContain(status);
    expect(statuses).toContain(202);

    // The session has one of the two whole, before or after a prefix of the other one.
    const length = Number((await rangeOf(location))?.slice(2)) + 1;
    const candidates = [
      [a, b],
      [b, a],
    ].flatMap(([x, y]) => [
      Buffer.concat([x!, y!.subarray(0, length - x!.length)]),
      Buffer.concat([x!.subarray(0, length - y!.length), y!]),
    ]);
    const committed: number[] = [];
    for (const candidate of candidates)
      committed.push((await client.commit(location, digestOf(candidate))).status);
    expect(committed).toContain(201);
  });

  it('12. of many requests for the same chunk at most one appends it', async () => {
    const chunk = randomBytes(20 * KIB);
    const location = await client.startUpload(name);
    const range = `0-${chunk.length - 1}`;
    const responses = await Promise.all(
      Array.from({ length: 8 }, () => client.patch(location, chunk, range)),
    );
    const statuses = responses.map(({ status }) => status);
    for (const status of statuses) expect([202, 416, 429]).toContain(status);
    const appended = statuses.filter((status) => status === 202).length;
    expect(appended).toBeLessThanOrEqual(1);

    // A request that had to release the session leaves a prefix; the others do not start there.
    const told = await rangeOf(location);
    if (appended === 1) expect(told).toBe(range);
    const length = told === '0-0' ? 0 : Number(told?.slice(2)) + 1;
    expect((await client.commit(location, digestOf(chunk), chunk.subarray(length))).status).toBe(201);
  });
});

describe('slow clients', () => {
  let berth: OwnBerth;
  let client: RegistryClient;
  const name = freshName('slow');

  beforeAll(async () => {
    berth = await OwnBerth.start({ REQUEST_IDLE_TIMEOUT_SECONDS: '1', REQUEST_MIN_BYTES_PER_SECOND: '1' });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  it('13. a slow body continues, far beyond the idle timeout', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PATCH', location, [['Content-Length', 7]]));
    let longestPauseMs = 0;
    for (const letter of 'slowly!') {
      const before = performance.now();
      await delay(200);
      await connection.send(letter).catch(() => undefined);
      longestPauseMs = Math.max(longestPauseMs, performance.now() - before);
    }
    const response = await connection.response();
    connection.leave();
    if (longestPauseMs > 500) return void process.stderr.write('too slow to tell: a slow body\n');
    expect([response.status, response.headers.get('range')]).toEqual([202, '0-6']);
  });

  it('13. a stalled body is aborted, and its bytes are kept', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PATCH', location, [['Content-Length', 1_000]]), 'then nothing');
    const response = await connection.response();
    connection.leave();
    expect(response.headers.get('connection')).toBe('close');
    expect(await refusal(response)).toBe('408 BLOB_UPLOAD_INVALID');
    expect((await client.fetch(location)).headers.get('range')).toBe('0-11');
    expect((await client.commit(location, digestOf('then nothing at all'), ' at all')).status).toBe(201);
  });

  it('13. a stalled manifest is refused as an invalid manifest', async () => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PUT', `/v2/${name}/manifests/idle`, [['Content-Length', 100]]), '{');
    const response = await connection.response();
    connection.leave();
    expect(await refusal(response)).toBe('408 MANIFEST_INVALID');
  });

  it('13. an idle connection is kept longer than load balancers keep theirs', async () => {
    const { headers } = await client.fetch('/v2/');
    expect(Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1])).toBeGreaterThan(60);
  });

  describe('a body that trickles', () => {
    beforeAll(() => berth.restart({ REQUEST_MIN_BYTES_PER_SECOND: '1024' }));

    /** Sends a byte every 50 ms until there is a response. Returns how many were sent. */
    async function trickle(method: string, path: string): Promise<[Response, number]> {
      const connection = await RawConnection.open(berth.url);
      await connection.send(requestHead(method, path, [['Content-Length', 1_000]]));
      const state = { isRefused: false };
      const pending = connection.response().finally(() => (state.isRefused = true));
      let sent = 0;
      for (; !state.isRefused && sent < 1_000; sent += 1) {
        await connection.send('x');
        await delay(50);
      }
      const response = await pending;
      connection.leave();
      return [response, sent];
    }

    it('13. is aborted, and its bytes are kept', async () => {
      const location = await new RegistryClient(berth.url).startUpload(name);
      const [response, sent] = await trickle('PATCH', location);
      expect(response.headers.get('connection')).toBe('close');
      expect(await response.clone().text()).toContain('fewer than 1024 bytes per second for 1 s');
      expect(await refusal(response)).toBe('408 BLOB_UPLOAD_INVALID');
      const range = (await new RegistryClient(berth.url).fetch(location)).headers.get('range');
      expect(Number(range?.split('-')[1])).toBeGreaterThan(0);
      expect(Number(range?.split('-')[1])).toBeLessThan(sent);
    });

    it('13. is refused as an invalid manifest if it is a manifest', async () => {
      const [response] = await trickle('PUT', `/v2/${name}/manifests/trickle`);
      expect(await refusal(response)).toBe('408 MANIFEST_INVALID');
    });
  });
});

const afterRestart = async (berth: OwnBerth) => {
  await berth.restart();
  return new RegistryClient(berth.url);
};

describe('an upload and a restart', () => {
  let berth: OwnBerth;
  const name = freshName('restart');
  beforeAll(async () => {
    berth = await OwnBerth.start();
  });
  afterAll(() => berth.dispose());

  it('12. chunked uploads continue after each restart, to the right sha256 and sha512', async () => {
    const bytes = randomBytes(100_003);
    // These cuts are within a block of the hash: its stored state has more than the chaining value.
    const cuts = [0, 33_333, 33_334, bytes.length];
    let client = new RegistryClient(berth.url);
    const uploads: [digest: string, location: string][] = [];
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const location = await client.startUpload(name, `?digest-algorithm=${algorithm}`);
      uploads.push([digestOf(bytes, algorithm), location]);
    }
    for (const [index, end] of cuts.slice(1).entries()) {
      client = await afterRestart(berth);
      const start = cuts[index] ?? 0;
      for (const [, location] of uploads) {
        const response = await client.patch(location, bytes.subarray(start, end), `${start}-${end - 1}`);
        expect([response.status, response.headers.get('range')]).toEqual([202, `0-${end - 1}`]);
      }
    }
    client = await afterRestart(berth);
    for (const [digest, location] of uploads) {
      expect((await client.commit(location, digest)).status).toBe(201);
      expect(digestOf(await client.blob(name, digest))).toBe(digestOf(bytes));
    }
  });

  it('12. a stop in the middle of a PATCH keeps what arrived', async () => {
    const bytes = randomBytes(64 * KIB);
    const location = await new RegistryClient(berth.url).startUpload(name);
    const connection = await RawConnection.open(berth.url);
    const head = requestHead('PATCH', location, [['Content-Length', bytes.length]]);
    await connection.send(head, bytes.subarray(0, 30_000));
    await bytesArrived(berth, location, 30_000);
    const stopped = berth.restart();
    expect((await connection.response()).status).toBe(503);
    connection.leave();
    await stopped;

    const client = new RegistryClient(berth.url);
    expect((await client.fetch(location)).headers.get('range')).toBe('0-29999');
    const response = await client.commit(location, digestOf(bytes), bytes.subarray(30_000));
    expect(response.status).toBe(201);
  });

  it('8. PUT repeated after a restart still succeeds', async () => {
    const before = new RegistryClient(berth.url);
    const location = await before.startUpload(name);
    await before.commit(location, digestOf('again'), 'again');
    const client = await afterRestart(berth);
    expect((await client.commit(location, digestOf('again'))).status).toBe(201);
  });

  it('12. a resumed upload is not hashed from storage: changed bytes on disk are not noticed', async () => {
    const [first, second] = [randomBytes(50_000), randomBytes(50_000)];
    const before = new RegistryClient(berth.url);
    const location = await before.startUpload(name);
    await before.patch(location, first);

    await berth.restart();
    const file = await open(uploadFile(berth, location), 'r+');
    await file.write(Buffer.alloc(first.length), 0, first.length, 0);
    await file.close();
    const client = new RegistryClient(berth.url);
    // If stored bytes were read back to be hashed, this digest would be wrong.
    const digest = digestOf(Buffer.concat([first, second]));
    expect((await client.commit(location, digest, second)).status).toBe(201);
    const stored = await client.blob(name, digest);
    expect(stored.subarray(0, first.length).equals(Buffer.alloc(first.length))).toBe(true);
    expect(stored.subarray(first.length).equals(second)).toBe(true);
  });

  it('12. bytes after the acknowledged offset, left by a crash, are cut off', async () => {
    const before = new RegistryClient(berth.url);
    const location = await before.startUpload(name);
    await before.patch(location, 'kept');
    const file = await open(uploadFile(berth, location), 'a');
    await file.write(' torn by a crash');
    await file.close();
    const client = await afterRestart(berth);
    expect((await client.commit(location, digestOf('kept whole'), ' whole')).status).toBe(201);
    expect(String(await client.blob(name, digestOf('kept whole')))).toBe('kept whole');
  });
});

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
