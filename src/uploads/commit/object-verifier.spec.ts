import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { BlobRecord } from '../../blobs/blob.store.js';
import { type Digest, digestOf } from '../../oci/digest.js';
import { type ObjectKey, parseObjectKey } from '../../storage/object-key.js';
import type { ByteSpan, IoOptions, StorageDriver } from '../../storage/storage-driver.js';
import { ObjectNotFoundError, StorageError, StorageUnavailableError } from '../../storage/storage.errors.js';
import { untilAborted } from '../../storage/reading.js';
import { createHasherFactory } from '../hash/hasher.factory.js';
import type { HasherFactory } from '../hash/hasher.js';
import { ObjectVerifier } from './object-verifier.js';

describe('ObjectVerifier', () => {
  let hashers: HasherFactory;
  let objects: Map<ObjectKey, Buffer>;
  let reads: ObjectKey[];
  let open: number;
  let maxOpen: number;
  let beforeRead: () => Promise<void>;
  let verifier: ObjectVerifier;

  beforeAll(async () => {
    hashers = await createHasherFactory(() => undefined);
  });
  beforeEach(() => {
    objects = new Map();
    reads = [];
    open = 0;
    maxOpen = 0;
    beforeRead = () => Promise.resolve();
    verifier = new ObjectVerifier({ stat, read } as unknown as StorageDriver, hashers);
    jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const bytesOf = (key: ObjectKey): Buffer => {
    const bytes = objects.get(key);
    if (bytes === undefined) throw new ObjectNotFoundError(key);
    return bytes;
  };
  const stat = async (key: ObjectKey) => {
    await Promise.resolve();
    return { key, sizeBytes: bytesOf(key).length, modifiedAt: new Date() };
  };
  const read = async (key: ObjectKey, span: ByteSpan, options: IoOptions): Promise<Readable> => {
    reads.push(key);
    open += 1;
    maxOpen = Math.max(maxOpen, open);
    try {
      await beforeRead();
    } finally {
      open -= 1;
    }
    const bytes = bytesOf(key).subarray(span.start, span.end + 1);
    return untilAborted(Readable.from([bytes], { objectMode: false }), options);
  };

  const stored = (content: Buffer, actual = content): [BlobRecord, Digest] => {
    const objectKey = parseObjectKey(`blobs/${randomUUID()}`);
    objects.set(objectKey, actual);
    return [{ id: '1', objectKey, sizeBytes: content.length }, digestOf('sha256', content)];
  };
  const content = randomBytes(1000);
  const flipped = Buffer.from(content);
  flipped.writeUInt8(flipped.readUInt8(500) ^ 128, 500);

  it.each([
    ['intact', content, content],
    ['corrupt', content, flipped],
    ['corrupt', content, content.subarray(1)],
    ['corrupt', content, Buffer.concat([content, content])],
    ['intact', Buffer.of(), Buffer.of()],
    ['corrupt', Buffer.of(), content],
  ])('returns "%s" (%#)', async (verdict, expected, actual) => {
    expect(await verifier.verify(...stored(expected, actual), {})).toBe(verdict);
  });

  it('returns "missing" whether the object is lost before the read or during it', async () => {
    const [blob, digest] = stored(content);
    beforeRead = () => {
      objects.delete(blob.objectKey);
      return Promise.resolve();
    };
    expect(await verifier.verify(blob, digest, {})).toBe('missing');
    expect(await verifier.verify(blob, digest, {})).toBe('missing');
    expect(reads).toHaveLength(1);
  });

  it.each([
    ['unverified', new StorageUnavailableError('not now')],
    ['missing', new StorageError('EIO')],
  ])('returns "%s" if reading fails with %s', async (verdict, error) => {
    beforeRead = () => Promise.reject(error);
    expect(await verifier.verify(...stored(content), {})).toBe(verdict);
  });

  it.each([
    ['large', 8 * 1024 * 1024 + 1, 4],
    ['small', 1000, 12],
  ])('reads each of 12 %s objects once for all callers, with bounded concurrency', async (_, size, max) => {
    beforeRead = () => new Promise((resolve) => setTimeout(resolve, 5));
    const same = Buffer.alloc(size);
    const all = Array.from({ length: 12 }, () => stored(same));
    const verdicts = await Promise.all([...all, ...all].map((each) => verifier.verify(...each, {})));
    expect(new Set(verdicts)).toEqual(new Set(['intact']));
    expect(reads).toHaveLength(all.length);
    expect(maxOpen).toBe(max);
  });

  it('reads on while one caller waits, and stops when all have aborted', async () => {
    let resume: () => void = () => undefined;
    beforeRead = () => new Promise((resolve) => (resume = resolve));
    const [blob, digest] = stored(content);
    const leaving = [new AbortController(), new AbortController()];
    const [one, two] = leaving.map(({ signal }) => verifier.verify(blob, digest, { signal }));
    await new Promise((resolve) => setImmediate(resolve));
    leaving[0]?.abort(new Error('the first one left'));
    await expect(one).rejects.toThrow('the first one left');
    resume();
    expect(await two).toBe('intact');

    const three = verifier.verify(blob, digest, { signal: AbortSignal.timeout(20) });
    await expect(three).rejects.toThrow();
    // A later caller starts a new read.
    beforeRead = () => Promise.resolve();
    expect(await verifier.verify(blob, digest, {})).toBe('intact');
  });

  it('times out after 15 s', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const stuck = (_key: ObjectKey, _span: ByteSpan, { signal }: IoOptions) =>
        new Promise<Readable>((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        });
      verifier = new ObjectVerifier({ stat, read: stuck } as unknown as StorageDriver, hashers);
      const verdict = verifier.verify(...stored(content), {});
      await new Promise((resolve) => setImmediate(resolve));
      jest.advanceTimersByTime(15_000);
      expect(await verdict).toBe('unverified');
    } finally {
      jest.useRealTimers();
    }
  });

  it('starts nothing for an aborted caller, and leaves no unhandled rejection', async () => {
    const asked = jest.fn(() => Promise.reject(new StorageUnavailableError('not now')));
    verifier = new ObjectVerifier({ stat: asked, read } as unknown as StorageDriver, hashers);
    const [blob, digest] = stored(content);
    const left = new AbortController();
    left.abort(new Error('the client left'));
    await expect(verifier.verify(blob, digest, { signal: left.signal })).rejects.toThrow('the client left');
    expect(asked).not.toHaveBeenCalled();

    const leaving = new AbortController();
    const verdict = verifier.verify(blob, digest, { signal: leaving.signal });
    leaving.abort(new Error('the client left'));
    await expect(verdict).rejects.toThrow('the client left');
    // An unhandled rejection would end this test run.
    await new Promise((resolve) => setImmediate(resolve));
  });
});
