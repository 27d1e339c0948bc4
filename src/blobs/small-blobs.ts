import type { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { abortable } from '../storage/abortable.js';
import type { ObjectKey } from '../storage/object-key.js';
import { type IoOptions, STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { StorageError } from '../storage/storage.errors.js';
import type { BlobRecord } from './blob.store.js';

const CACHE_BYTES = 16 * 1024 * 1024;
const SMALL_BYTES = 64 * 1024;
/** The approximate overhead of an entry. */
const ENTRY_BYTES = 512;

/**
 * A cache of small blobs, mainly configs, which every pull requests. An object key is never reused, so
 * entries never become stale. The caller has checked access. A hit saves five system calls.
 */
@Injectable()
export class SmallBlobs {
  private readonly contents = new LRUCache<ObjectKey, Buffer>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (content) => content.length + ENTRY_BYTES,
  });

  /** Reads in progress, which concurrent callers share. */
  private readonly reads = new Map<ObjectKey, Promise<Buffer>>();

  constructor(@Inject(STORAGE_DRIVER) private readonly driver: StorageDriver) {}

  /** Whether `get` returns the blob without the storage. */
  has({ objectKey }: BlobRecord): boolean {
    return this.contents.has(objectKey);
  }

  /** Returns undefined if the blob is not small. @throws StorageError if the object has another size. */
  async get(blob: BlobRecord, options: IoOptions): Promise<Buffer | undefined> {
    if (blob.sizeBytes > SMALL_BYTES) return undefined;
    const known = this.contents.get(blob.objectKey);
    if (known !== undefined) return known;
    return abortable(options, () => this.reads.get(blob.objectKey) ?? this.read(blob));
  }

  private read({ objectKey, sizeBytes }: BlobRecord): Promise<Buffer> {
    // An empty object has no valid span. Without a span, object stores would request the size first.
    const span = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes - 1 };
    // Without a signal: other callers may share this read when the first one is aborted.
    const reading = this.driver
      .read(objectKey, span)
      .then((stream) => wholeContent(stream, sizeBytes))
      .then((content) => {
        this.contents.set(objectKey, content);
        return content;
      })
      .finally(() => this.reads.delete(objectKey));
    this.reads.set(objectKey, reading);
    return reading;
  }
}

/**
 * @throws StorageError if the stream does not have `sizeBytes` bytes; stops reading as soon as it has more.
 */
async function wholeContent(stream: Readable, sizeBytes: number): Promise<Buffer> {
  // Not from Node's pool and not a chunk of the stream: a cached part would keep the whole of them in memory.
  const content = Buffer.allocUnsafeSlow(sizeBytes);
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunk.copy(content, length);
    length += chunk.length;
    if (length > sizeBytes) break;
  }
  if (length === sizeBytes) return content;
  throw new StorageError(
    `an object has ${length > sizeBytes ? 'more' : length} bytes instead of ${sizeBytes}`,
  );
}
