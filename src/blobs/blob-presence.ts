import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import type { Digest } from '../oci/digest.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import type { BlobRecord } from './blob.store.js';
import { DisplacedObjects } from './displaced-objects.service.js';
import { type ObjectState, objectStateOf } from './object-state.js';

/** How long a check is cached. A lost object is noticed after this time. */
const CACHE_MS = 60_000;
/** The cache reads the clock once per this time, not for every lookup. */
const CLOCK_MS = 1_000;
const MAX_CACHED = 32_768;
/** Lost objects that were logged, so that each is logged once. */
const MAX_LOGGED = 10_000;

/**
 * Checks that the objects of blobs exist in the storage. An object may be lost although its row exists:
 * deleted in the bucket, or on a disk that was replaced.
 *
 * "Present" is cached per digest for a minute, so most checks are a lookup in memory. "Missing" is not
 * cached, because a push or an operator may restore the object at any time.
 */
@Injectable()
export class BlobPresence {
  private readonly logger = new Logger(BlobPresence.name);
  private readonly seen = new LRUCache<Digest, true>({
    max: MAX_CACHED,
    ttl: CACHE_MS,
    ttlResolution: CLOCK_MS,
  });
  private readonly logged = new LRUCache<string, true>({ max: MAX_LOGGED });
  /** Checks in progress, by object key. Concurrent callers share them. */
  private readonly checks = new Map<string, Promise<BlobRecord | undefined>>();

  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly displaced: DisplacedObjects,
    private readonly identity: StorageIdentity,
  ) {}

  /**
   * The blob, if its object exists with the right size. The returned `objectKey` may differ from that of
   * `blob`: a displaced object may have reappeared, or another request may have replaced the object.
   *
   * @throws StorageUnavailableError, StorageError if the check fails.
   */
  async find(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    if (this.seen.get(digest) !== undefined) return blob;
    const found = await (this.checks.get(blob.objectKey) ?? this.check(blob, digest));
    if (found !== undefined) this.note([digest]);
    return found;
  }

  /** Whether the content was found within the last minute. */
  isRemembered(digest: Digest): boolean {
    return this.seen.get(digest) !== undefined;
  }

  /** Records that the caller has just written or read the content. */
  note(digests: readonly Digest[]): void {
    for (const digest of digests) this.seen.set(digest, true);
  }

  /** Clears the cache entry, after the content could not be read. */
  forget(digest: Digest): void {
    this.seen.delete(digest);
  }

  private check(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    const check = this.findPresent(blob, digest).finally(() => this.checks.delete(blob.objectKey));
    this.checks.set(blob.objectKey, check);
    return check;
  }

  private async findPresent(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    const state = await objectStateOf(this.driver, blob);
    if (state === 'present') {
      this.logged.delete(blob.objectKey);
      return blob;
    }
    // If another storage is mounted, all objects look lost, and clients would push them there.
    await this.identity.verifyStorage();
    const other = await this.displaced.findOther(blob, state);
    if (other === undefined) this.logOnce(blob, digest, state);
    return other;
  }

  private logOnce({ objectKey, sizeBytes }: BlobRecord, digest: Digest, state: ObjectState): void {
    if (this.logged.get(objectKey) !== undefined) return;
    this.logged.set(objectKey, true);
    this.logger.error(
      { digest, key: objectKey, sizeBytes },
      state === 'missing'
        ? 'the object of a blob is missing in the storage: push the content again, or restore the object'
        : 'the object of a blob has the wrong size: push the content again',
    );
  }
}
