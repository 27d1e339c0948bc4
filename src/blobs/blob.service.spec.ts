import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { UnitOfWork } from '../database/unit-of-work.js';
import type { IdempotentRequests } from '../idempotency/idempotent-requests.js';
import { digestOf } from '../oci/digest.js';
import { parseRepositoryName } from '../oci/repository-name.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';
import { BlobUnknownError, RangeNotSatisfiableError } from '../oci/errors.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { IoOptions, StorageDriver } from '../storage/storage-driver.js';
import { StorageError, StorageUnavailableError } from '../storage/storage.errors.js';
import { BlobService } from './blob.service.js';
import type { BlobPresence } from './blob-presence.js';
import type { BlobStore } from './blob.store.js';
import type { SmallBlobs } from './small-blobs.js';

const DIGEST = digestOf('sha256', Buffer.from(''));
const BLOB = { id: randomUUID(), objectKey: parseObjectKey('blobs/one'), sizeBytes: 1000 };

/** A service over a driver, with rows and seen objects as the test says. */
function serviceOver(driver: object, store: object = {}, presence: object = {}): BlobService {
  const abilities = { redirects: 'redirectUrl' in driver, opensObjects: 'openObject' in driver };
  const small = { has: () => false, get: () => Promise.resolve(undefined) };
  return new BlobService(
    { findLinked: () => Promise.resolve(BLOB), ...store } as unknown as BlobStore,
    small as unknown as SmallBlobs,
    {
      note: () => undefined,
      forget: () => undefined,
      find: () => Promise.resolve(BLOB),
      ...presence,
    } as unknown as BlobPresence,
    {} as UnitOfWork,
    { abilities, ...driver } as unknown as StorageDriver,
    { isRecorded: () => Promise.resolve(false) } as unknown as IdempotentRequests,
  );
}

const contentOf = (service: BlobService, range?: string, options: IoOptions = {}) =>
  service.content(parseRepositoryName('a'), DIGEST, range, options);

/** An object of `sizeBytes` that counts calls of `close`. */
function objectOf(sizeBytes: number): OpenObject & { closes: number } {
  return {
    sizeBytes,
    closes: 0,
    read: () => Promise.resolve(),
    close() {
      this.closes += 1;
      return Promise.resolve();
    },
  };
}

describe('BlobService.content', () => {
  it('opens the object, which the caller closes', async () => {
    const object = objectOf(1000);
    const calls: unknown[] = [];
    const openObject = (...call: unknown[]) => {
      calls.push(...call);
      return Promise.resolve(object);
    };
    const { signal } = new AbortController();
    const content = await contentOf(serviceOver({ openObject }), 'bytes=10-19', { signal });
    const part = { sizeBytes: 1000, spans: [{ start: 10, end: 19 }], isPartial: true };
    expect(content).toEqual({ kind: 'object', object, ...part });
    expect(calls).toEqual([BLOB.objectKey, { signal }]);
    expect(object.closes).toBe(0);
  });

  it.each([0, 999, 1001])('closes an object of %d bytes instead of 1000, and throws', async (sizeBytes) => {
    const object = objectOf(sizeBytes);
    const service = serviceOver({ openObject: () => Promise.resolve(object) });
    await expect(contentOf(service)).rejects.toBeInstanceOf(StorageError);
    expect(object.closes).toBe(1);
  });

  it('streams the bytes if the driver cannot open objects', async () => {
    const stream = Readable.from([]);
    const calls: unknown[] = [];
    const read = (...call: unknown[]) => {
      calls.push(...call);
      return Promise.resolve(stream);
    };
    const content = await contentOf(serviceOver({ read }));
    expect(content).toMatchObject({ kind: 'stream', isPartial: false });
    expect(calls).toEqual([BLOB.objectKey, { start: 0, end: 999 }, {}]);
    const other = { start: 5, end: 6 };
    expect(content.kind === 'stream' && (await content.read(other))).toBe(stream);
    expect(calls.slice(3)).toEqual([BLOB.objectKey, other, {}]);
  });

  it('redirects if the driver can, and leaves the range to the storage', async () => {
    const url = new URL('https://storage/object');
    const service = serviceOver({ redirectUrl: () => Promise.resolve(url) });
    expect(await contentOf(service, 'bytes=5000-')).toEqual({ kind: 'redirect', url });
  });

  it('does not redirect for several ranges', async () => {
    const object = objectOf(1000);
    const service = serviceOver({
      redirectUrl: () => Promise.reject(new Error('redirected')),
      openObject: () => Promise.resolve(object),
    });
    const spans = [
      { start: 0, end: 1 },
      { start: 500, end: 501 },
    ];
    expect(await contentOf(service, 'bytes=0-1,500-501')).toMatchObject({ kind: 'object', spans });
    await expect(contentOf(service, 'bytes=5000-,-0')).rejects.toBeInstanceOf(RangeNotSatisfiableError);
  });

  it('refuses a range beyond the end', async () => {
    const service = serviceOver({ openObject: () => Promise.reject(new Error('opened')) });
    await expect(contentOf(service, 'bytes=5000-')).rejects.toBeInstanceOf(RangeNotSatisfiableError);
  });

  describe('of a blob whose object cannot be opened', () => {
    it('does not trust the row if another request restores the blob during the query', async () => {
      const object = objectOf(1000);
      const restored = { ...BLOB, objectKey: parseObjectKey('blobs/two') };
      let isNoted = false;
      let queries = 0;
      const store = {
        findLinked: () => {
          queries += 1;
          // The second query still reads the old row; the other request notes the blob before it returns.
          isNoted = queries === 2;
          return Promise.resolve(BLOB);
        },
      };
      const presence = {
        forget: () => (isNoted = false),
        find: () => Promise.resolve(isNoted ? BLOB : restored),
      };
      const openObject = (key: ObjectKey) =>
        key === BLOB.objectKey ? Promise.reject(new StorageError('missing')) : Promise.resolve(object);
      const content = await contentOf(serviceOver({ openObject }, store, presence));
      expect(content).toMatchObject({ kind: 'object', object });
    });

    const other = { ...BLOB, objectKey: parseObjectKey('blobs/other') };
    const openObject = (key: ObjectKey) =>
      key === other.objectKey ? Promise.resolve(objectOf(1000)) : Promise.reject(new StorageError('lost'));

    it('opens another object of the blob', async () => {
      const service = serviceOver({ openObject }, {}, { find: () => Promise.resolve(other) });
      expect(await contentOf(service)).toMatchObject({ kind: 'object' });
    });

    it('says that the blob is unknown if its object is lost', async () => {
      const service = serviceOver({ openObject }, {}, { find: () => Promise.resolve(undefined) });
      await expect(contentOf(service)).rejects.toBeInstanceOf(BlobUnknownError);
    });

    it('does not look for another one if the storage is unavailable', async () => {
      const failure = new StorageUnavailableError('away');
      const service = serviceOver(
        { openObject: () => Promise.reject(failure) },
        {},
        { find: () => Promise.resolve(other) },
      );
      await expect(contentOf(service)).rejects.toBe(failure);
    });
  });
});

describe('BlobService.stat', () => {
  const statOf = (isRenewalDue: boolean, renew: () => Promise<boolean>) =>
    serviceOver({}, { findLinked: () => Promise.resolve({ ...BLOB, isRenewalDue }), renew }).stat(
      parseRepositoryName('a'),
      DIGEST,
    );

  it('renews a link that the collector might delete soon', async () => {
    let renewals = 0;
    const renew = () => Promise.resolve((renewals += 1) > 0);
    expect(await statOf(true, renew)).toMatchObject(BLOB);
    expect(renewals).toBe(1);
  });

  it('does not know a blob whose link is gone when it is renewed', () =>
    expect(statOf(true, () => Promise.resolve(false))).rejects.toBeInstanceOf(BlobUnknownError));

  it('does not renew another link', async () => {
    expect(await statOf(false, () => Promise.reject(new Error('renewed')))).toMatchObject(BLOB);
  });
});
