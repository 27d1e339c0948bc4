import { Inject, Injectable, Logger } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import type { ObjectKey } from '../storage/object-key.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { type BlobRecord, BlobStore } from './blob.store.js';
import { type DisplacedObject, DisplacedObjectStore } from './displaced-object.store.js';
import { type ObjectState, objectStateOf } from './object-state.js';

/** How often a row that others change at the same time is read. */
const MAX_ATTEMPTS = 3;

/**
 * Objects whose place another one took. A blob's row is pointed away from an object that was not found, or
 * was found damaged, when a push brings the bytes again. The old key stays known:
 *
 *                  a push brings the bytes                 the blob's object is there
 *     blob's object ───────────────────────► displaced ────────────────────────────► removing ──► gone
 *                  ◄───────────────────────
 *                  it is there again, and the blob's object is not
 *
 * So a storage that was away for a while (another mount, another prefix) costs nothing when it is back.
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
   * The blob with an object that is there, where the one that `blob` names isn't: the row may have another
   * one by now, or a displaced one is back, which the row gets again.
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
      if (await this.takeBack(candidate, known.current, seen.state)) return candidate;
      // Another request, here or in another process, has changed the row meanwhile.
    }
    return undefined;
  }

  /**
   * A batch of the reaper: looks at up to `limit` displaced objects that are due, and removes those that are
   * no longer needed. Returns how many were due; each is due again later.
   */
  async reap(limit: number, signal: AbortSignal): Promise<number> {
    const due = await this.store.takeDue(limit);
    for (const object of due) {
      if (signal.aborted) break;
      // One that can't be dealt with now must not keep the reaper from the others. It is due again later.
      await this.settle(object).catch((error: unknown) => {
        this.logger.warn({ err: error, key: object.objectKey }, 'a displaced object stays for now');
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

  private async settle(object: DisplacedObject): Promise<void> {
    const { objectKey, blob, reason, isRemoving } = object;
    const state = await objectStateOf(this.driver, { ...blob, objectKey });
    // It may come back: its key stays known.
    if (state === 'missing' && !isRemoving) return;
    const current = await objectStateOf(this.driver, blob);
    if (current === 'present') return this.remove(object);
    // One that is being removed is not used again: its removal may still be under way.
    if (state === 'present' && reason === 'missing' && !isRemoving) {
      await this.takeBack({ ...blob, objectKey }, blob.objectKey, current);
    }
  }

  /** Can be repeated from any point: the row goes last, so that no object is left without a row. */
  private async remove(object: DisplacedObject): Promise<void> {
    const { objectKey, reason } = object;
    await this.identity.verify();
    if (!object.isRemoving && !(await this.store.markRemoving(object))) return;
    await this.driver.delete(objectKey);
    await this.store.forget(objectKey);
    this.logger.log({ key: objectKey, reason }, 'a displaced object was removed: its blob has another one');
  }

  /** Gives the blob the object of `candidate` again, unless it has another one than `from` by now. */
  private async takeBack(candidate: BlobRecord, from: ObjectKey, state: ObjectState): Promise<boolean> {
    await this.identity.verify();
    const { id, objectKey: to } = candidate;
    const reason = state === 'wrong size' ? 'corrupt' : 'missing';
    const isDone = await this.unitOfWork.run(async (transaction) => {
      await this.blobs.lockContentOf(transaction, id);
      if ((await this.store.lockCurrent(transaction, id)) !== from) return false;
      if (!(await this.store.takeBack(transaction, to))) return false;
      return this.store.displace(transaction, id, { from, to, reason });
    });
    if (isDone) this.logger.warn({ key: to, instead: from }, 'a displaced object is there again and is used');
    return isDone;
  }
}
