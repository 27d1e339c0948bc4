import { Inject, Injectable, Logger } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import type { ObjectKey } from '../storage/object-key.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { type BlobRecord, BlobStore } from './blob.store.js';
import { type DisplacedObject, DisplacedObjectStore } from './displaced-object.store.js';
import { type ObjectState, objectStateOf } from './object-state.js';

/** How often a row is read that other requests change at the same time. */
const MAX_ATTEMPTS = 3;

/**
 * Objects that another object has replaced. If a blob's object is lost or damaged and a push brings the bytes
 * again, the blob gets the new object, and the old key is kept:
 *
 *               a push brings the bytes                the blob's object is present
 *     current ───────────────────────────► displaced ──────────────────────────────► removing ──► deleted
 *             ◄───────────────────────────
 *              it reappears, and the blob's object is lost
 *
 * So nothing is lost if a storage was unreachable for a while (wrong mount, wrong prefix) and returns.
 */
@Injectable()
export class DisplacedObjects {
  private readonly logger = new Logger(DisplacedObjects.name);

  constructor(
    private readonly store: DisplacedObjectStore,
    private readonly blobs: BlobStore,
    private readonly unitOfWork: UnitOfWork,
    private readonly identity: StorageIdentity,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
  ) {}

  /**
   * The blob with an object that is present, although that of `blob` is not: the row may have another object
   * by now, or a displaced object may have reappeared, which the row then gets again.
   */
  async findOther(blob: BlobRecord, state: ObjectState): Promise<BlobRecord | undefined> {
    let seen: { readonly objectKey: ObjectKey; readonly state: ObjectState } = { ...blob, state };
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const known = await this.store.knownObjects(blob.id);
      if (known === undefined) return undefined;
      const current = { ...blob, objectKey: known.current };
      if (current.objectKey !== seen.objectKey) {
        seen = { ...current, state: await objectStateOf(this.driver, current) };
      }
      if (seen.state === 'present') return current;
      const candidate = await this.firstPresent(blob, known.displaced);
      if (candidate === undefined) return undefined;
      if (await this.restore(candidate, known.current, seen.state)) return candidate;
      // Another request has changed the row: try again.
    }
    return undefined;
  }

  /**
   * Called by the reaper: checks up to `limit` displaced objects that are due, and deletes those that are no
   * longer needed. Returns how many were due.
   */
  async reap(limit: number, signal: AbortSignal): Promise<number> {
    const due = await this.store.takeDue(limit);
    for (const object of due) {
      if (signal.aborted) break;
      // A failure must not block the other objects. This one is due again later.
      await this.check(object).catch((error: unknown) => {
        this.logger.warn(
          { err: error, key: object.objectKey },
          'could not check a displaced object; the next check follows',
        );
      });
    }
    return due.length;
  }

  private async firstPresent(blob: BlobRecord, keys: readonly ObjectKey[]): Promise<BlobRecord | undefined> {
    for (const objectKey of keys) {
      const candidate = { ...blob, objectKey };
      if ((await objectStateOf(this.driver, candidate)) === 'present') return candidate;
    }
    return undefined;
  }

  private async check(object: DisplacedObject): Promise<void> {
    const { objectKey, blob, reason, isRemoving } = object;
    const state = await objectStateOf(this.driver, { ...blob, objectKey });
    // It may reappear: keep its row.
    if (state === 'missing' && !isRemoving) return;
    const current = await objectStateOf(this.driver, blob);
    if (current === 'present') return this.remove(object);
    // Not if it is being deleted: the deletion may still be in progress.
    if (state === 'present' && reason === 'missing' && !isRemoving) {
      await this.restore({ ...blob, objectKey }, blob.objectKey, current);
    }
  }

  /**
   * Can be repeated after a crash at any point: the row is deleted last, so every object always has a row.
   */
  private async remove(object: DisplacedObject): Promise<void> {
    const { objectKey, reason } = object;
    await this.identity.verify();
    if (!object.isRemoving && !(await this.store.markRemoving(object))) return;
    await this.driver.delete(objectKey);
    await this.store.forget(objectKey);
    this.logger.log({ key: objectKey, reason }, 'deleted a displaced object: its blob has another one');
  }

  /** Gives the blob its displaced object again, unless its current object is no longer `from`. */
  private async restore(candidate: BlobRecord, from: ObjectKey, state: ObjectState): Promise<boolean> {
    await this.identity.verify();
    const { id, objectKey: to } = candidate;
    const reason = state === 'wrong size' ? 'corrupt' : 'missing';
    const isDone = await this.unitOfWork.run(async (transaction) => {
      await this.blobs.lockContentOf(transaction, id);
      if ((await this.store.lockCurrent(transaction, id)) !== from) return false;
      if (!(await this.store.claim(transaction, to))) return false;
      return this.store.displace(transaction, id, { from, to, reason });
    });
    if (isDone)
      this.logger.warn({ key: to, instead: from }, 'a displaced object reappeared and is used again');
    return isDone;
  }
}
