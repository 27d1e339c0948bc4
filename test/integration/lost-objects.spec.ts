import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { BlobPresence } from '../../src/blobs/blob-presence.js';
import { parseObjectKey } from '../../src/storage/object-key.js';
import { StorageError, StorageUnavailableError } from '../../src/storage/storage.errors.js';
import {
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
  specErrors,
} from '../support/registry-client.js';
import { reap as runReaper } from '../support/run-job.js';
import { describeOn } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { StoredObjects } from './support/stored-objects.js';

/** Content that is cached in memory after a read, and content that is not. */
const SIZES = { small: 1000, large: 200_000 };
const HEAD = { method: 'HEAD' };
const NAME = freshName();

describeOn('filesystem', 'objects that are lost or damaged', ({ environment }) => {
  let berth: TestBerth;
  let client: RegistryClient;
  let stored: StoredObjects;

  beforeAll(async () => {
    berth = await startTestBerth(environment);
    client = new RegistryClient(berth.url);
    stored = new StoredObjects(berth);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => berth.dispose());

  const path = (name: string, digest: string) => `/v2/${name}/blobs/${digest}`;
  const mount = (digest: string, from?: string) => {
    const query = new URLSearchParams({ mount: digest, ...(from !== undefined && { from }) });
    const uploads = `/v2/${freshName('mounted')}/blobs/uploads/?${query.toString()}`;
    return client.fetch(uploads, { method: 'POST' });
  };
  const reap = () => runReaper(berth);

  /** Content that two repositories link, and that was pulled once. */
  const pushed = async (sizeBytes: number) => {
    const bytes = randomBytes(sizeBytes);
    const names = [freshName('first'), freshName('second')];
    const digest = digestOf(bytes);
    for (const name of names) expect(await client.pushBlob(name, bytes)).toBe(digest);
    await client.blob(String(names[0]), digest);
    return { bytes, digest, names, name: String(names[0]) };
  };
  const expectServed = async (names: readonly string[], digest: string) => {
    for (const name of names) {
      expect((await client.fetch(path(name, digest), HEAD)).status).toBe(200);
      expect(digestOf(await client.blob(name, digest))).toBe(digest);
    }
  };
  const imageOf = async (name: string, digest: string, what: 'config' | 'layer') => {
    const image = await client.makeImage(name, ['another layer']);
    const descriptor = { ...image.config, digest, size: 1 };
    return what === 'config' ? { ...image, config: descriptor } : { ...image, layers: [descriptor] };
  };

  describe.each(Object.values(SIZES))('of %d bytes', (sizeBytes) => {
    it('a lost object is unknown to HEAD, GET, mounts and manifests, and is logged once', async () => {
      const { digest, name } = await pushed(sizeBytes);
      const images = [await imageOf(name, digest, 'config'), await imageOf(name, digest, 'layer')];
      await stored.lose(digest);
      const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
      const url = path(name, digest);
      for (const init of [HEAD, { ...HEAD, headers: { 'If-None-Match': `"${digest}"` } }]) {
        expect((await client.fetch(url, init)).status).toBe(404);
      }
      for (const headers of [{}, { Range: 'bytes=1-2' }]) {
        expect(await refusal(await client.fetch(url, { headers }))).toBe('404 BLOB_UNKNOWN');
      }
      expect((await mount(digest, name)).status).toBe(202);
      expect((await mount(digest)).status).toBe(202);
      for (const image of images) {
        const refused = await client.putManifest(name, 'latest', image);
        expect(refused.status).toBe(404);
        const expected = { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest } };
        expect(await specErrors(refused)).toEqual([expect.objectContaining(expected)]);
      }
      expect(logged.mock.calls.map(([fields]): unknown => fields)).toEqual([
        { digest, key: await stored.keyOf(digest), sizeBytes },
      ]);
    });

    it('a GET that finds the object lost is 404, and so is the next HEAD', async () => {
      const digest = await client.pushBlob(NAME, randomBytes(sizeBytes));
      await berth.driver.delete(parseObjectKey(await stored.keyOf(digest)));
      expect((await client.fetch(path(NAME, digest), HEAD)).status).toBe(200);
      expect(await refusal(await client.fetch(path(NAME, digest)))).toBe('404 BLOB_UNKNOWN');
      expect((await client.fetch(path(NAME, digest), HEAD)).status).toBe(404);
    });

    it('a push to any repository repairs all of them', async () => {
      const { bytes, digest, names } = await pushed(sizeBytes);
      const lost = await stored.lose(digest);
      expect((await client.fetch(path(String(names[1]), digest), HEAD)).status).toBe(404);
      const third = freshName('third');
      await client.pushBlob(third, bytes);
      await expectServed([...names, third], digest);
      expect((await mount(digest, third)).status).toBe(201);
      expect((await client.putManifest(third, 'v1', await imageOf(third, digest, 'layer'))).status).toBe(201);
      expect(await stored.keyOf(digest)).not.toBe(lost);
      expect(await stored.displaced(digest)).toEqual([
        { object_key: lost, reason: 'missing', removing: false },
      ]);
    });

    it('the old object is used again if it is back and the new one is lost', async () => {
      const { bytes, digest, names, name } = await pushed(sizeBytes);
      const old = await stored.lose(digest);
      await client.pushBlob(name, bytes);
      await stored.put(old, bytes);
      const replacement = await stored.lose(digest);
      await expectServed(names, digest);
      expect(await stored.keyOf(digest)).toBe(old);
      expect(await stored.displaced(digest)).toEqual([
        { object_key: replacement, reason: 'missing', removing: false },
      ]);
      // And the other way round, found by a GET.
      await stored.put(replacement, bytes);
      await stored.lose(digest);
      await expectServed(names.toReversed(), digest);
      expect(await stored.keyOf(digest)).toBe(replacement);
    });

    it.each(['HEAD', 'GET'])('many concurrent %s restore it once', async (method) => {
      const { bytes, digest, name } = await pushed(sizeBytes);
      const old = await stored.lose(digest);
      await client.pushBlob(name, bytes);
      await stored.put(old, bytes);
      await stored.lose(digest);
      const all = Array.from({ length: 20 }, () => client.fetch(path(name, digest), { method }));
      for (const response of await Promise.all(all)) {
        expect(response.status).toBe(200);
        if (method === 'GET') expect(digestOf(Buffer.from(await response.arrayBuffer()))).toBe(digest);
      }
      expect(await stored.keyOf(digest)).toBe(old);
    });

    it('a push replaces corrupt bytes in all repositories', async () => {
      const { bytes, digest, names, name } = await pushed(sizeBytes);
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(sizeBytes - 7) ^ 1, sizeBytes - 7);
      const bad = await stored.damage(digest, flipped);
      if (sizeBytes === SIZES.large) expect((await client.blob(name, digest)).equals(flipped)).toBe(true);
      await Promise.all([1, 2, 3].map(() => client.pushBlob(freshName('third'), bytes)));
      await expectServed(names, digest);
      expect(await stored.displaced(digest)).toEqual([
        { object_key: bad, reason: 'corrupt', removing: false },
      ]);
      await reap();
      expect(await stored.displaced(digest)).toEqual([]);
      expect(await stored.isThere(bad)).toBe(false);
      await expectServed(names, digest);
    });

    it.each([-1, 1])('an object with %d bytes more is unknown, and replaced by a push', async (more) => {
      const { bytes, digest, names } = await pushed(sizeBytes);
      const bad = await stored.damage(digest, Buffer.concat([bytes, bytes]).subarray(0, sizeBytes + more));
      for (const name of names) expect((await client.fetch(path(name, digest), HEAD)).status).toBe(404);
      await client.pushBlob(freshName('third'), bytes);
      await expectServed(names, digest);
      expect(await stored.displaced(digest)).toEqual([
        { object_key: bad, reason: 'corrupt', removing: false },
      ]);
    });

    it('intact bytes stay in place when they are pushed again', async () => {
      const { bytes, digest, names } = await pushed(sizeBytes);
      const key = await stored.keyOf(digest);
      await Promise.all([1, 2, 3].map(() => client.pushBlob(freshName(), bytes)));
      expect(await stored.keyOf(digest)).toBe(key);
      expect(await stored.displaced(digest)).toEqual([]);
      await expectServed(names, digest);
    });

    it('an unavailable storage is a 503 and displaces nothing', async () => {
      const { bytes, digest, name } = await pushed(sizeBytes);
      const image = await imageOf(name, digest, 'layer');
      const key = await stored.keyOf(digest);
      stored.aMinutePasses(digest);
      const unavailable = new StorageUnavailableError('not now');
      const away = jest.spyOn(berth.driver, 'stat').mockRejectedValue(unavailable);
      expect((await client.fetch(path(name, digest), HEAD)).status).toBe(503);
      expect((await mount(digest, name)).status).toBe(503);
      expect((await client.putManifest(name, 'latest', image)).status).toBe(503);
      await expect(client.pushBlob(freshName(), bytes)).rejects.toThrow('503');
      away.mockRestore();
      // Where only reading fails, the push needn't.
      const unread = jest.spyOn(berth.driver, 'read').mockRejectedValue(unavailable);
      await client.pushBlob(freshName(), bytes);
      unread.mockRestore();
      expect(await stored.keyOf(digest)).toBe(key);
      expect(await stored.displaced(digest)).toEqual([]);
      await expectServed([name], digest);
    });

    it('an unreadable object is replaced by a push and stays known', async () => {
      const { bytes, digest, names } = await pushed(sizeBytes);
      const key = await stored.keyOf(digest);
      const unread = jest.spyOn(berth.driver, 'read').mockRejectedValue(new StorageError('EIO'));
      await client.pushBlob(freshName(), bytes);
      unread.mockRestore();
      expect(await stored.displaced(digest)).toEqual([
        { object_key: key, reason: 'missing', removing: false },
      ]);
      await expectServed(names, digest);
    });

    it('a lost blob that was deleted from its repository can be pushed again', async () => {
      const { bytes, digest, names, name } = await pushed(sizeBytes);
      await stored.lose(digest);
      expect((await client.fetch(path(name, digest), { method: 'DELETE' })).status).toBe(202);
      await client.pushBlob(name, bytes);
      await expectServed(names, digest);
    });
  });

  it('a lost blob that an index lists is refused, unless a manifest has its digest', async () => {
    const name = freshName();
    const child = JSON.stringify(await client.makeImage(name));
    const digests = [await client.pushBlob(name, randomBytes(1000)), await client.pushBlob(name, child)];
    const manifests = digests.map((digest) => ({ mediaType: OCI_MANIFEST, digest, size: 1 }));
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
    const push = () => client.putManifest(name, 'v1', index, { 'Content-Type': OCI_INDEX });
    for (const digest of digests) await stored.lose(digest);
    const lost = async () => (await specErrors(await push())).map(({ detail }) => detail);
    expect(await lost()).toEqual(digests.map((digest) => ({ digest })));
    await client.putManifest(name, digestOf(child), child);
    expect(await lost()).toEqual([{ digest: digests[0] }]);
  });

  it('a blob that is served from memory does not count as present', async () => {
    const digest = await client.pushBlob(NAME, randomBytes(SIZES.small));
    const noted = jest.spyOn(berth.app.get(BlobPresence), 'note');
    await client.blob(NAME, digest);
    expect(noted).toHaveBeenCalledTimes(1);
    await client.blob(NAME, digest);
    expect(noted).toHaveBeenCalledTimes(1);
  });

  it('the empty blob is repaired, too', async () => {
    const names = [freshName(), freshName()];
    const digest = await client.pushBlob(String(names[0]), '');
    const lost = await stored.lose(digest);
    expect((await client.fetch(path(String(names[0]), digest), HEAD)).status).toBe(404);
    await client.pushBlob(String(names[1]), '');
    await expectServed(names, digest);
    expect((await stored.displaced(digest)).map(({ object_key: key }) => key)).toEqual([lost]);
  });

  describe('the reaper', () => {
    const displaced = async () => {
      const { bytes, digest, names } = await pushed(1000);
      const old = await stored.lose(digest);
      await client.pushBlob(freshName(), bytes);
      return { bytes, digest, names, old };
    };

    it('keeps the key of a missing object', async () => {
      const { digest, old } = await displaced();
      await reap();
      await stored.anHourPasses();
      await reap();
      expect((await stored.displaced(digest)).map(({ object_key: key }) => key)).toEqual([old]);
    });

    it.each([
      ['1 minute', 1],
      ['10 hours', 10],
      ['10 days', 24],
    ])('checks an object that was displaced %s ago again after %d hours', async (since, hours) => {
      const { old } = await displaced();
      const query = (sql: string, ...parameters: unknown[]): Promise<unknown> =>
        berth.database.dataSource.query(sql, [old, ...parameters]);
      await query(
        'UPDATE displaced_objects SET displaced_at = now() - $2::interval WHERE object_key = $1',
        since,
      );
      await reap();
      const sql = `SELECT round(extract(epoch FROM look_at - now()) / 3600)::int AS hours
                     FROM displaced_objects WHERE object_key = $1`;
      expect(await query(sql)).toEqual([{ hours }]);
    });

    it('removes a displaced object that is back if its replacement exists', async () => {
      const { bytes, digest, names, old } = await displaced();
      await stored.put(old, bytes);
      await reap();
      expect([await stored.displaced(digest), await stored.isThere(old)]).toEqual([[], false]);
      await expectServed(names, digest);
    });

    it('restores a displaced object if its replacement is lost', async () => {
      const { bytes, digest, names, old } = await displaced();
      await stored.put(old, bytes);
      await stored.lose(digest);
      await reap();
      expect(await stored.keyOf(digest)).toBe(old);
      await expectServed(names, digest);
    });

    it('resumes an interrupted removal and no longer uses the object', async () => {
      const { bytes, digest, old } = await displaced();
      await stored.put(old, bytes);
      const cutOff = jest.spyOn(berth.driver, 'delete').mockRejectedValueOnce(new StorageError('cut off'));
      await reap();
      cutOff.mockRestore();
      expect(await stored.displaced(digest)).toEqual([
        { object_key: old, reason: 'missing', removing: true },
      ]);
      const replacement = await stored.lose(digest);
      expect((await client.fetch(path(freshName(), digest), HEAD)).status).toBe(404);
      await stored.put(replacement, bytes);
      await stored.anHourPasses();
      await reap();
      expect([await stored.displaced(digest), await stored.isThere(old)]).toEqual([[], false]);
    });
  });
});
