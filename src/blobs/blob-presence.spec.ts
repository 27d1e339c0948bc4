import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { digestOf } from '../oci/digest.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';
import type { StorageIdentity } from '../storage-identity/storage-identity.js';
import type { StorageDriver } from '../storage/storage-driver.js';
import {
  ObjectNotFoundError,
  StorageError,
  StorageIdentityError,
  StorageUnavailableError,
} from '../storage/storage.errors.js';
import type { BlobRecord } from './blob.store.js';
import { BlobPresence } from './blob-presence.js';
import type { DisplacedObjects } from './displaced-objects.service.js';

describe('BlobPresence', () => {
  const DIGEST = digestOf('sha256', Buffer.from('content'));
  let sizes: Map<ObjectKey, number>;
  let checked: ObjectKey[];
  let failure: Error | undefined;
  let other: BlobRecord | undefined;
  let presence: BlobPresence;
  let verified: Promise<void>;
  let logged: jest.Spied<Logger['error']>;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    sizes = new Map();
    checked = [];
    failure = undefined;
    other = undefined;
    verified = Promise.resolve();
    const stat = async (key: ObjectKey) => {
      checked.push(key);
      await new Promise((resolve) => setImmediate(resolve));
      if (failure !== undefined) throw failure;
      const sizeBytes = sizes.get(key);
      if (sizeBytes === undefined) throw new ObjectNotFoundError(key);
      return { key, sizeBytes, modifiedAt: new Date() };
    };
    const displaced = { findOther: () => Promise.resolve(other) };
    presence = new BlobPresence(
      { stat } as unknown as StorageDriver,
      displaced as unknown as DisplacedObjects,
      { verifyStorage: () => verified } as unknown as StorageIdentity,
    );
    logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  const blobOf = (actualBytes?: number): BlobRecord => {
    const objectKey = parseObjectKey(`blobs/${randomUUID()}`);
    if (actualBytes !== undefined) sizes.set(objectKey, actualBytes);
    return { id: '1', objectKey, sizeBytes: 1000 };
  };

  it('checks the storage once a minute for an object that is present', async () => {
    const blob = blobOf(1000);
    for (let n = 0; n < 3; n += 1) expect(await presence.find(blob, DIGEST)).toBe(blob);
    expect(checked).toEqual([blob.objectKey]);
    expect(presence.isRemembered(DIGEST)).toBe(true);
    const now = performance.now();
    jest.spyOn(performance, 'now').mockReturnValue(now + 61_000);
    jest.advanceTimersByTime(61_000);
    expect(presence.isRemembered(DIGEST)).toBe(false);
  });

  it.each([undefined, 0, 999, 1001])(
    'checks an object of %p bytes each time, and logs it once',
    async (actual) => {
      const blob = blobOf(actual);
      for (let n = 0; n < 3; n += 1) expect(await presence.find(blob, DIGEST)).toBeUndefined();
      expect(checked).toHaveLength(3);
      expect(logged).toHaveBeenCalledTimes(1);
      expect(logged.mock.calls[0]?.[0]).toMatchObject({ digest: DIGEST, key: blob.objectKey });
      sizes.set(blob.objectKey, 1000);
      expect(await presence.find(blob, DIGEST)).toBe(blob);
      presence.forget(DIGEST);
      sizes.delete(blob.objectKey);
      expect(await presence.find(blob, DIGEST)).toBeUndefined();
      expect(logged).toHaveBeenCalledTimes(2);
    },
  );

  it('shares one check among concurrent callers', async () => {
    const blobs = [blobOf(1000), blobOf()];
    const wanted = [0, 1, 0, 1, 1].map((index) => blobs[index] as BlobRecord);
    const digests = [DIGEST, digestOf('sha256', Buffer.from('lost'))];
    const found = await Promise.all(
      wanted.map((blob) => presence.find(blob, digests[blobs.indexOf(blob)] ?? DIGEST)),
    );
    expect(found).toEqual([blobs[0], undefined, blobs[0], undefined, undefined]);
    expect(checked).toEqual(blobs.map(({ objectKey }) => objectKey));
  });

  it.each([new StorageUnavailableError('not now'), new StorageError('EACCES')])(
    'does not report an object as missing after a failure (%s)',
    async (error) => {
      const blob = blobOf(1000);
      failure = error;
      await expect(presence.find(blob, DIGEST)).rejects.toBe(error);
      failure = undefined;
      expect(await presence.find(blob, DIGEST)).toBe(blob);
      expect(logged).not.toHaveBeenCalled();
    },
  );

  it('does not report an object as missing in another storage', async () => {
    const error = new StorageIdentityError('another one');
    verified = Promise.reject(error);
    verified.catch(() => undefined);
    await expect(presence.find(blobOf(), DIGEST)).rejects.toBe(error);
    expect(logged).not.toHaveBeenCalled();
  });

  it('returns the object that replaced a lost one', async () => {
    other = blobOf(1000);
    expect(await presence.find(blobOf(), DIGEST)).toBe(other);
    expect(logged).not.toHaveBeenCalled();
    expect(presence.isRemembered(DIGEST)).toBe(true);
  });

  it('caches content that was just written, until a read fails', async () => {
    const blob = blobOf();
    presence.note([DIGEST]);
    expect(await presence.find(blob, DIGEST)).toBe(blob);
    presence.forget(DIGEST);
    expect(await presence.find(blob, DIGEST)).toBeUndefined();
  });
});
