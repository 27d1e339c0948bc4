import { buffer } from 'node:stream/consumers';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { ObjectKey } from '../storage/object-key.js';
import { type IoOptions, STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
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

  constructor(@Inject(STORAGE_DRIVER) private readonly driver: StorageDriver) {}

  /** The whole content, where it is small. */
  async get({ objectKey, sizeBytes }: BlobRecord, options: IoOptions): Promise<Buffer | undefined> {
    if (sizeBytes > SMALL_BYTES) return undefined;
    const known = this.contents.get(objectKey);
    if (known !== undefined) return known;
    const span = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes - 1 };
    const content = await buffer(await this.driver.read(objectKey, span, options));
    this.contents.set(objectKey, content);
    return content;
  }
}
