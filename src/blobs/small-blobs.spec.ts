import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';
import type { ByteSpan, IoOptions, StorageDriver } from '../storage/storage-driver.js';
import { StorageError } from '../storage/storage.errors.js';
import { SmallBlobs } from './small-blobs.js';

const KIB = 1024;

/** Reads objects in memory; records the reads and waits for `ready`. */
class ReadObjects {
  readonly objects = new Map<ObjectKey, Buffer>();
  readonly reads: ObjectKey[] = [];
  readonly streams: Readable[] = [];
  ready: Promise<void> = Promise.resolve();

  async read(key: ObjectKey, span: ByteSpan | undefined, { signal }: IoOptions = {}): Promise<Readable> {
    this.reads.push(key);
    await this.ready;
    signal?.throwIfAborted();
    const content = this.objects.get(key) ?? Buffer.of();
    const bytes = span === undefined ? content : content.subarray(span.start, span.end + 1);
    const chunks = [bytes.subarray(0, 1000), bytes.subarray(1000, 2000), bytes.subarray(2000)];
    const stream = Readable.from(
      chunks.filter(({ length }) => length > 0),
      { objectMode: false },
    );
    this.streams.push(stream);
    return stream;
  }
}

describe('SmallBlobs', () => {
  let driver: ReadObjects;
  let blobs: SmallBlobs;
  beforeEach(() => {
    driver = new ReadObjects();
    blobs = new SmallBlobs(driver as unknown as StorageDriver);
  });

  /** A blob whose row has this size. */
  function blobOf(content: Buffer, sizeBytes = content.length) {
    const objectKey = parseObjectKey(`blobs/${randomUUID()}`);
    driver.objects.set(objectKey, content);
    return { id: randomUUID(), objectKey, sizeBytes };
  }

  it.each([0, 1, 1000, 2500, 64 * KIB])('reads a blob of %d bytes once', async (sizeBytes) => {
    const content = randomBytes(sizeBytes);
    const blob = blobOf(content);
    for (let round = 0; round < 3; round += 1) {
      expect((await blobs.get(blob, {}))?.equals(content)).toBe(true);
    }
    expect(driver.reads).toEqual([blob.objectKey]);
  });

  it('does not read a larger one', async () => {
    expect(await blobs.get(blobOf(randomBytes(64 * KIB + 1)), {})).toBeUndefined();
    expect(driver.reads).toEqual([]);
  });

  it.each([
    ['more bytes than none', 5000, 0],
    ['fewer bytes', 999, 1000],
    ['no bytes', 0, 1000],
  ])('refuses an object that has %s, and does not remember it', async (_, actual, expected) => {
    const blob = blobOf(randomBytes(actual), expected);
    await expect(blobs.get(blob, {})).rejects.toBeInstanceOf(StorageError);
    expect(driver.streams[0]?.destroyed).toBe(true);
    driver.objects.set(blob.objectKey, Buffer.alloc(expected));
    expect((await blobs.get(blob, {}))?.length).toBe(expected);
  });

  it('reads once for concurrent callers', async () => {
    const [one, other] = [blobOf(randomBytes(100)), blobOf(randomBytes(100))];
    const asked = [one, other, one, other, one].map((blob) => blobs.get(blob, {}));
    for (const [index, content] of (await Promise.all(asked)).entries()) {
      const { objectKey } = index % 2 === 0 ? one : other;
      expect(content).toEqual(driver.objects.get(objectKey));
    }
    expect(driver.reads).toEqual([one.objectKey, other.objectKey]);
  });

  it('fails only the aborted caller, also if it is the first', async () => {
    let letRead: () => void = () => undefined;
    driver.ready = new Promise((resolve) => (letRead = resolve));
    const blob = blobOf(randomBytes(100));
    const leaving = [new AbortController(), new AbortController()];
    const [first, second, third] = [leaving[0]?.signal, undefined, leaving[1]?.signal].map((signal) =>
      blobs.get(blob, signal === undefined ? {} : { signal }),
    );
    leaving.forEach((controller) => controller.abort(new Error('the client left')));
    await expect(first).rejects.toThrow('the client left');
    await expect(third).rejects.toThrow('the client left');
    letRead();
    expect(await second).toEqual(driver.objects.get(blob.objectKey));
  });

  it('reads nothing for an aborted caller', async () => {
    const signal = AbortSignal.abort(new Error('the client left'));
    await expect(blobs.get(blobOf(randomBytes(1)), { signal })).rejects.toThrow('the client left');
    expect(driver.reads).toEqual([]);
  });

  it('rejects all waiting callers on a failure, and retries for the next one', async () => {
    driver.ready = Promise.reject(new StorageError('not now'));
    const blob = blobOf(randomBytes(10));
    const outcomes = await Promise.allSettled([blobs.get(blob, {}), blobs.get(blob, {})]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    driver.ready = Promise.resolve();
    expect(await blobs.get(blob, {})).toEqual(driver.objects.get(blob.objectKey));
  });

  it('keeps at most 16 MiB, the most recently used', async () => {
    const many = Array.from({ length: 300 }, () => blobOf(Buffer.alloc(64 * KIB)));
    for (const blob of many) await blobs.get(blob, {});
    driver.reads.length = 0;
    // In reverse order, so that reading one again evicts none that is requested later.
    for (const blob of many.toReversed()) await blobs.get(blob, {});
    const rememberedBytes = (many.length - driver.reads.length) * 64 * KIB;
    expect(rememberedBytes).toBeLessThanOrEqual(16 * KIB * KIB);
    expect(rememberedBytes).toBeGreaterThan(15 * KIB * KIB);
    expect(driver.reads).not.toContain(many.at(-1)?.objectKey);
  });
});
