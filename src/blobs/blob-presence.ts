import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import type { Digest } from '../oci/digest.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import type { BlobRecord } from './blob.store.js';
import { DisplacedObjects } from './displaced-objects.service.js';
import { type ObjectState, objectStateOf } from './object-state.js';

/**
 * How long content counts as present after it was seen. An object that gets lost is noticed after this time
 * at the latest.
 */
const REMEMBERED_MS = 60_000;
/** The clock is read once per this time, not for every lookup. */
const CLOCK_MS = 1_000;
const MAX_REMEMBERED = 32_768;
/** Of lost objects, to log each of them once. */
const MAX_LOGGED = 10_000;

/**
 * Whether the bytes of blobs are in the storage. A row alone doesn't say that: an object may have been
 * deleted behind Berth's back, or a disk may have been replaced.
 *
 * "Present" is remembered per digest for a minute, so that asking costs a lookup in memory. "Missing" is not
 * remembered: a push or an operator may bring the object back at any moment.
 */
@Injectable()
export class BlobPresence {
  private readonly logger = new Logger(BlobPresence.name);
  private readonly seen = new LRUCache<Digest, true>({
    max: MAX_REMEMBERED,
    ttl: REMEMBERED_MS,
    ttlResolution: CLOCK_MS,
  });
  private readonly logged = new LRUCache<string, true>({ max: MAX_LOGGED });
  /** By object key. Callers that ask for the same object at the same time share one search. */
  private readonly searches = new Map<string, Promise<BlobRecord | undefined>>();

  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly displaced: DisplacedObjects,
    private readonly identity: StorageIdentity,
  ) {}

  /**
   * The blob, if its object is in the storage with the size of the row. It may name another object than
   * `blob` does: one that was displaced and is there again, or that took the object's place meanwhile.
   *
   * @throws StorageUnavailableError, StorageError where the storage can't tell.
   */
  async find(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    if (this.seen.get(digest) !== undefined) return blob;
    const found = await (this.searches.get(blob.objectKey) ?? this.search(blob, digest));
    if (found !== undefined) this.note([digest]);
    return found;
  }

  /** Whether the content was seen within the last minute. */
  isRemembered(digest: Digest): boolean {
    return this.seen.get(digest) !== undefined;
  }

  /** The caller has just written or read the content. */
  note(digests: readonly Digest[]): void {
    for (const digest of digests) this.seen.set(digest, true);
  }

  /** The caller could not read the content: the storage is to be asked again. */
  forget(digest: Digest): void {
    this.seen.delete(digest);
  }

  private search(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    const search = this.look(blob, digest).finally(() => this.searches.delete(blob.objectKey));
    this.searches.set(blob.objectKey, search);
    return search;
  }

  private async look(blob: BlobRecord, digest: Digest): Promise<BlobRecord | undefined> {
    const state = await objectStateOf(this.driver, blob);
    if (state === 'present') {
      this.logged.delete(blob.objectKey);
      return blob;
    }
    // In another storage everything would look lost, and clients would push it there.
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
        ? 'the object of a blob is missing in the storage: push the content again, or put the object back'
        : 'the object of a blob has another size than its row: push the content again',
    );
  }
}
