import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { OwnBerth } from '../support/running-berth.js';
import { bytesArrived, uploadFile } from './support/stored-files.js';

const KIB = 1024;

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

  it('6. a body that is repeated after a restart is not appended twice', async () => {
    const [first, second] = [randomBytes(50_003), randomBytes(50_000)];
    const before = new RegistryClient(berth.url);
    const patched = await before.patch(await before.uploadLocation(name), first);
    const location = patched.headers.get('location') ?? '';
    expect((await before.patch(location, second)).status).toBe(202);
    const client = await afterRestart(berth);
    const digest = digestOf(Buffer.concat([first, second]));
    expect((await client.commit(location, digest, second)).status).toBe(201);
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
