import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import type { UnitOfWork } from '../database/unit-of-work.js';
import { ContendedError } from '../database/errors/contended.error.js';
import { digestOf } from '../oci/digest.js';
import { parseRepositoryName } from '../oci/repository-name.js';
import { parseObjectKey } from '../storage/object-key.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { StorageDriver } from '../storage/storage-driver.js';
import { StorageError } from '../storage/storage.errors.js';
import { BlobService } from './blob.service.js';
import type { BlobPresence } from './blob-presence.js';
import { type BlobStore, NEEDED_LINK } from './blob.store.js';
import type { RepositoryStore } from '../repositories/repository.store.js';
import type { SmallBlobs } from './small-blobs.js';

const BLOB = { id: randomUUID(), objectKey: parseObjectKey('blobs/one'), sizeBytes: 1000 };

/** Over a driver, and what is needed of the store of rows. */
function serviceOver(driver: object, store: object = {}): BlobService {
  return new BlobService(
    store as BlobStore,
    {} as RepositoryStore,
    {} as SmallBlobs,
    {} as BlobPresence,
    {} as UnitOfWork,
    { abilities: { opensObjects: 'openObject' in driver }, ...driver } as unknown as StorageDriver,
  );
}

/** An object of `sizeBytes` that counts how often it is closed. */
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

describe('BlobService.open', () => {
  it('answers the object, which is the caller’s to close', async () => {
    const object = objectOf(1000);
    const asked: unknown[] = [];
    const openObject = (...call: unknown[]) => {
      asked.push(...call);
      return Promise.resolve(object);
    };
    const { signal } = new AbortController();
    expect(await serviceOver({ openObject }).open(BLOB, { signal })).toBe(object);
    expect(asked).toEqual([BLOB.objectKey, { signal }]);
    expect(object.closes).toBe(0);
  });

  it.each([0, 999, 1001])(
    'closes an object that has %d bytes instead of 1000, and fails',
    async (sizeBytes) => {
      const object = objectOf(sizeBytes);
      const service = serviceOver({ openObject: () => Promise.resolve(object) });
      await expect(service.open(BLOB, {})).rejects.toBeInstanceOf(StorageError);
      expect(object.closes).toBe(1);
    },
  );

  it('opens nothing where the driver is not able to', async () => {
    const service = serviceOver({ read: () => Promise.resolve(Readable.from([])) });
    expect(await service.open(BLOB, {})).toBeUndefined();
  });
});

describe('BlobService.delete', () => {
  const refused = () =>
    new QueryFailedError(
      'DELETE …',
      [],
      Object.assign(new Error('violates'), { code: '23503', constraint: NEEDED_LINK }),
    );
  const deletion = (...outcomes: (() => Promise<unknown>)[]) => {
    const unlink = () => outcomes.shift()?.();
    return serviceOver({}, { unlink }).delete(parseRepositoryName('a'), digestOf('sha256', Buffer.from('')));
  };

  it('tries again where a manifest came that needs the blob', () =>
    expect(
      deletion(
        () => Promise.reject(refused()),
        () => Promise.resolve({ deleted: true }),
      ),
    ).resolves.toBeUndefined());

  it('asks the client to retry where another one came again', async () => {
    const fails = () => Promise.reject(refused());
    await expect(deletion(fails, fails)).rejects.toThrow(ContendedError);
  });
});
