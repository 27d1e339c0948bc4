import { randomBytes } from 'node:crypto';
import { appendFile, open } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { bytesArrived, uploadFile } from '../support/stored-files.js';

const KIB = 1024;

const afterRestart = async (berth: TestBerth) => {
  await berth.restart();
  return new RegistryClient(berth.url);
};

describe('an upload and a restart', () => {
  let berth: TestBerth;
  const name = freshName('restart');
  beforeAll(async () => {
    berth = await startTestBerth();
  });
  afterAll(() => berth.dispose());

  it('12. chunked uploads continue after each restart, to the right sha256 and sha512', async () => {
    const bytes = randomBytes(100_003);
    // This cut is within a block of the hash: its stored state has more than the chaining value.
    const cuts = [0, 33_333, bytes.length];
    let client = new RegistryClient(berth.url);
    const uploads: [digest: string, location: string][] = [];
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const location = await client.startUpload(name, `?digest-algorithm=${algorithm}`);
      uploads.push([digestOf(bytes, algorithm), location]);
    }
    for (const [index, end] of cuts.slice(1).entries()) {
      if (index > 0) client = await afterRestart(berth);
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

  describe('one restart, and', () => {
    const bytes = randomBytes(50_003);
    const more = randomBytes(50_000);
    let client: RegistryClient;
    /** A location for each test, before the restart. */
    let locations: Record<'committed' | 'repeated' | 'changed' | 'torn', string>;

    beforeAll(async () => {
      const before = new RegistryClient(berth.url);
      const committed = await before.startUpload(name);
      await before.commit(committed, digestOf('again'), 'again');

      const patched = await before.patch(await before.uploadLocation(name), bytes);
      const repeated = patched.headers.get('location') ?? '';
      expect((await before.patch(repeated, more)).status).toBe(202);

      const changed = await before.startUpload(name);
      await before.patch(changed, bytes);
      const torn = await before.startUpload(name);
      await before.patch(torn, 'kept');

      await berth.restart({}, async () => {
        const hashed = await open(uploadFile(berth, changed), 'r+');
        await hashed.write(Buffer.alloc(bytes.length), 0, bytes.length, 0);
        await hashed.close();
        await appendFile(uploadFile(berth, torn), ' torn by a crash');
      });
      client = new RegistryClient(berth.url);
      locations = { committed, repeated, changed, torn };
    });

    it('8. a repeated PUT still succeeds', async () => {
      expect((await client.commit(locations.committed, digestOf('again'))).status).toBe(201);
    });

    it('6. a repeated body is not appended twice', async () => {
      const digest = digestOf(Buffer.concat([bytes, more]));
      expect((await client.commit(locations.repeated, digest, more)).status).toBe(201);
    });

    it('12. a resumed upload is not hashed from storage: changed bytes on disk are not noticed', async () => {
      // If stored bytes were read back to be hashed, this digest would be wrong.
      const own = randomBytes(50_000);
      const digest = digestOf(Buffer.concat([bytes, own]));
      expect((await client.commit(locations.changed, digest, own)).status).toBe(201);
      const stored = await client.blob(name, digest);
      expect(stored.subarray(0, bytes.length).equals(Buffer.alloc(bytes.length))).toBe(true);
      expect(stored.subarray(bytes.length).equals(own)).toBe(true);
    });

    it('12. bytes after the acknowledged offset, left by a crash, are cut off', async () => {
      expect((await client.commit(locations.torn, digestOf('kept whole'), ' whole')).status).toBe(201);
      expect(String(await client.blob(name, digestOf('kept whole')))).toBe('kept whole');
    });
  });
});
