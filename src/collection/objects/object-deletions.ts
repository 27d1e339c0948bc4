import { Inject, Injectable, Logger } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { oneLine } from '../../database/errors/one-line.js';
import type { JobRun } from '../../jobs/job.js';
import { StorageClaim } from '../../storage-identity/storage-claim.js';
import { StorageIdentity } from '../../storage-identity/storage-identity.js';
import { canDeleteMany } from '../../storage/driver-abilities.js';
import { type ObjectKey, parseObjectKey } from '../../storage/object-key.js';
import { deleteEach } from '../../storage/object-store/refused-deletions.js';
import { TimeoutError, withTimeout } from '../../storage/object-store/timeout.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import {
  InvalidObjectKeyError,
  StorageClaimError,
  StorageError,
  StorageIdentityError,
  StorageUnavailableError,
} from '../../storage/storage.errors.js';
import type { CollectionStage } from '../collection-stage.js';
import { DeletionRate } from './deletion-rate.js';
import { type DueObject, type FailedDeletion, ObjectDeletionStore } from './object-deletion.store.js';

/** Concurrent requests, if the driver deletes one object per request. */
const MAX_CONCURRENT = 8;

/** For the storage calls of a batch. Less than the lease of a job. */
const BATCH_TIMEOUT_MS = 30_000;

/** For an operator who asks whether objects can be deleted. */
const PROBLEM_TIMEOUT_MS = 5_000;

/**
 * After the storage was unavailable, it is left alone for a multiple of the time that it took to find that.
 * Other stages of a collection don't wait for its timeouts meanwhile.
 */
const REST_FACTOR = 4;

const MAX_ERROR_LENGTH = 500;

/** What happened to the objects of a batch. */
interface Outcome {
  readonly deleted: readonly DueObject[];
  readonly failed: readonly FailedDeletion[];
  /** Set if more deletions would fail, too. */
  readonly unavailable?: StorageError;
}

/**
 * The last stage of a collection: deletes the objects of collected blobs when the read window is over. A row
 * is deleted after its object, so this can be repeated after a crash at any point.
 *
 *     rows due ──► claim verified ──► no blob has the key ──► objects deleted ──► rows deleted
 *                                                                  └─ failed ──► due later: 30 s … 1 h
 *
 * An object that can't be deleted keeps no other waiting. If the storage is unavailable, the rest is left for
 * a later run, and the run goes on without it.
 */
@Injectable()
export class ObjectDeletions implements CollectionStage {
  readonly name = 'objects';
  private readonly logger = new Logger(ObjectDeletions.name);
  private readonly rate: DeletionRate;
  private readonly maxBatch: number;
  /** Smaller after a timeout, so that a slow storage makes progress. */
  private batch: number;
  private retryAt = -Infinity;

  constructor(
    private readonly store: ObjectDeletionStore,
    private readonly identity: StorageIdentity,
    private readonly claim: StorageClaim,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    { gcBatchRows, gcObjectDeletionsPerSecond }: Configuration,
  ) {
    this.rate = new DeletionRate(gcObjectDeletionsPerSecond);
    this.maxBatch = Math.min(gcBatchRows, gcObjectDeletionsPerSecond);
    this.batch = this.maxBatch;
  }

  /**
   * Deletes what is due, in batches.
   *
   * @throws StorageClaimError, StorageIdentityError if this database may not delete objects in the storage
   */
  async *run(run: JobRun): AsyncGenerator<void, void> {
    while (!run.signal.aborted && performance.now() >= this.retryAt) {
      const due = await this.store.findDue(this.batch);
      if (due.length === 0) return;
      const unused = await this.withoutUsed(due, run);
      if (unused.length > 0 && !(await this.deleteBatch(unused, run))) return;
      yield;
    }
  }

  /** Why this database may not delete objects in the storage now; null if it may. Never rejects. */
  async refusal(): Promise<string | null> {
    try {
      const problem = await withTimeout({}, PROBLEM_TIMEOUT_MS, async (signal) => {
        await this.identity.verify();
        return this.claim.problem({ signal });
      });
      return problem ?? null;
    } catch (error) {
      return oneLine(error);
    }
  }

  /** Returns whether the next batch may follow. */
  private async deleteBatch(due: readonly DueObject[], run: JobRun): Promise<boolean> {
    await this.rate.wait(due.length, run.signal);
    await run.verifyLease();
    const startedAt = performance.now();
    const { deleted, failed, unavailable } = await this.attempt(due, run.signal);
    if (deleted.length > 0) {
      await this.store.forget(deleted.map(({ objectKey }) => objectKey));
    }
    if (failed.length > 0) await this.store.postpone(failed);
    run.count('objects', deleted.length);
    run.count(
      'objectBytes',
      deleted.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0),
    );
    run.count('objectFailures', failed.length);
    this.report(failed, unavailable);
    if (unavailable === undefined) return true;
    const now = performance.now();
    this.retryAt = now + REST_FACTOR * (now - startedAt);
    return false;
  }

  /** Rejects only if the run stops, or if this database may not delete objects. */
  private async attempt(due: readonly DueObject[], signal: AbortSignal): Promise<Outcome> {
    const startedAt = performance.now();
    try {
      const refused = await withTimeout({ signal }, BATCH_TIMEOUT_MS, (inTime) =>
        this.deleteAll(due, inTime),
      );
      if (performance.now() - startedAt < BATCH_TIMEOUT_MS / 4) {
        this.batch = Math.min(this.batch * 2, this.maxBatch);
      }
      return {
        deleted: due.filter(({ objectKey }) => !refused.has(objectKey)),
        failed: [...refused].map(([objectKey, error]) => failureOf(objectKey, error)),
      };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StorageClaimError || error instanceof StorageIdentityError) throw error;
      if (error instanceof TimeoutError) this.batch = Math.max(1, Math.floor(due.length / 2));
      else if (!(error instanceof StorageError)) throw error;
      const failure = error instanceof StorageError ? error : unavailable(error);
      // Any of them may be gone. The next attempt finds that.
      return {
        deleted: [],
        failed: due.map(({ objectKey }) => failureOf(objectKey, failure)),
        unavailable: failure,
      };
    }
  }

  /** Returns those that could not be deleted, and why. */
  private async deleteAll(
    due: readonly DueObject[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, StorageError>> {
    await this.identity.verify();
    await this.claim.verify({ signal });
    const refused = new Map<string, StorageError>();
    const keys: ObjectKey[] = [];
    for (const { objectKey } of due) {
      try {
        keys.push(parseObjectKey(objectKey));
      } catch (error) {
        if (!(error instanceof InvalidObjectKeyError)) throw error;
        refused.set(objectKey, error);
      }
    }
    const { driver } = this;
    const failures = canDeleteMany(driver)
      ? await driver.deleteMany(keys, { signal })
      : await deleteEach(keys, MAX_CONCURRENT, (key) => driver.delete(key, { signal }));
    for (const [key, error] of failures) refused.set(key, error);
    return refused;
  }

  /** Drops the rows of objects that a blob has. There should be none. */
  private async withoutUsed(due: readonly DueObject[], run: JobRun): Promise<readonly DueObject[]> {
    const used = due.filter(({ isUsed }) => isUsed);
    if (used.length === 0) return due;
    const keys = used.map(({ objectKey }) => objectKey);
    this.logger.error(
      { keys: keys.slice(0, 10), count: keys.length },
      'objects of blobs were to be deleted: kept',
    );
    await this.store.dropUsed(keys);
    run.count('objectsKept', keys.length);
    return due.filter(({ isUsed }) => !isUsed);
  }

  private report(failed: readonly FailedDeletion[], unavailable: StorageError | undefined): void {
    const [first] = failed;
    if (first === undefined) return;
    const fields = { key: first.objectKey, count: failed.length, reason: first.error };
    this.logger.warn(
      fields,
      unavailable === undefined
        ? 'could not delete some objects; they are tried again later'
        : 'could not delete objects: the storage is unavailable; they are tried again later',
    );
  }
}

function failureOf(objectKey: string, error: StorageError): FailedDeletion {
  return { objectKey, error: oneLine(error).slice(0, MAX_ERROR_LENGTH) };
}

function unavailable(cause: unknown): StorageUnavailableError {
  const message = `the storage did not delete a batch of objects within ${BATCH_TIMEOUT_MS / 1000} s`;
  return new StorageUnavailableError(message, { cause });
}
