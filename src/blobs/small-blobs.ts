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
/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 512;

/**
 * The bytes of small blobs, configs above all, which every pull asks for. An object key is never used twice, so what is
 * remembered can't become wrong; who may see it was decided before. Saves five trips to the disk for each of them.
 */
@Injectable()
export class SmallBlobs {
  private readonly contents = new LRUCache<ObjectKey, Buffer>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (content) => content.length + ENTRY_BYTES,
  });

  /** Those that are being read. Whoever asks for one meanwhile waits for the same bytes. */
  private readonly reads = new Map<ObjectKey, Promise<Buffer>>();

  constructor(@Inject(STORAGE_DRIVER) private readonly driver: StorageDriver) {}

  /** Whether `get` needs no storage for it. */
  has({ objectKey }: BlobRecord): boolean {
    return this.contents.has(objectKey);
  }

  /** The whole content, where it is small. @throws StorageError where the object is of another size. */
  async get(blob: BlobRecord, options: IoOptions): Promise<Buffer | undefined> {
    if (blob.sizeBytes > SMALL_BYTES) return undefined;
    const known = this.contents.get(blob.objectKey);
    if (known !== undefined) return known;
    return abortable(options, () => this.reads.get(blob.objectKey) ?? this.read(blob));
  }

  private read({ objectKey, sizeBytes }: BlobRecord): Promise<Buffer> {
    // No span lies within the empty object. Elsewhere none would have object stores asked for the size first.
    const span = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes - 1 };
    // Without the signal of the one who came first, whose leaving is nothing to those who wait with it.
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

/** @throws StorageError, having read no more of the stream than it takes to see, unless it has `sizeBytes` bytes. */
async function wholeContent(stream: Readable, sizeBytes: number): Promise<Buffer> {
  // Neither from Node's pool nor one of the stream's chunks: what is remembered would hold on to the bytes around it.
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
