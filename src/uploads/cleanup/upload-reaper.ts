import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DisplacedObjects } from '../../blobs/displaced-objects.service.js';
import { mapBounded } from '../../common/map-bounded.js';
import { Configuration } from '../../config/configuration.js';
import { UploadEventLog } from '../../events/upload-event-log.js';
import { inBatches, inTurns, type JobPart } from '../../jobs/job-parts.js';
import type { Job, JobRun } from '../../jobs/job.js';
import { Jobs } from '../../jobs/jobs.js';
import { UploadClock } from '../../maintenance/upload-clock.js';
import type { UploadId } from '../../oci/upload-id.js';
import { StorageClaim } from '../../storage-identity/storage-claim.js';
import { StorageIdentity } from '../../storage-identity/storage-identity.js';
import { STORAGE_DRIVER, type StorageDriver, type StoredUpload } from '../../storage/storage-driver.js';
import { UploadCommitService } from '../commit/upload-commit.service.js';
import { UploadLeaseService } from '../session/upload-lease.service.js';
import type { UploadOrigin, UploadSession } from '../session/upload-session.js';
import type { AcquiredSession } from '../session/upload-session.store.js';
import { storedUploadsBefore } from './orphaned-uploads.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import { UploadReclaimService } from './upload-reclaim.service.js';

/** Items of one batch. */
const BATCH = { sessions: 100, commits: 4, displaced: 20, rows: 1_000 };

/** Failed commits of a round. They are kept in memory, so that none is tried twice. */
const MAX_COMMITS = 1_000;

/** Concurrent requests to the storage. */
const MAX_CONCURRENT = 4;

const MAX_INTERVAL_SECONDS = 60;
const MAX_OBSERVATION_SECONDS = 600;
const MAX_ORPHAN_AGE_SECONDS = 3_600;

const NO_REQUEST: UploadOrigin = { actor: null, clientAddress: null, userAgent: null };

/**
 * The job `reap`, which cleans up after uploads:
 *
 * | what | how |
 * |---|---|
 * | sessions idle for `UPLOAD_TTL_SECONDS` | end as `expired`; their bytes are removed |
 * | interrupted commits | are completed: their bytes were verified |
 * | ended sessions whose bytes could not be removed | their bytes are removed |
 * | displaced objects | are removed if the blob's own object exists |
 * | bytes without a session | are removed when old enough |
 * | rows of ended sessions, old events | are deleted |
 * | times of sessions in the future | are set to now: the clock was ahead |
 *
 * It must never touch a live upload: a row ends, which fences its writer, before the bytes are touched.
 */
@Injectable()
export class UploadReaper implements Job, OnModuleInit {
  readonly name = 'reap';
  readonly description = 'Removes what interrupted and idle uploads leave';
  readonly hasDryRun = false;
  private readonly logger = new Logger(UploadReaper.name);

  constructor(
    private readonly reaping: UploadReapingStore,
    private readonly reclaims: UploadReclaimService,
    private readonly leases: UploadLeaseService,
    private readonly commits: UploadCommitService,
    private readonly events: UploadEventLog,
    private readonly clock: UploadClock,
    private readonly displaced: DisplacedObjects,
    private readonly identity: StorageIdentity,
    private readonly claim: StorageClaim,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly configuration: Configuration,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  /**
   * @throws StorageIdentityError or StorageClaimError, having removed nothing, if the storage belongs to
   *   another database or to another copy of this one: then bytes without a row may be its bytes.
   */
  run(run: JobRun): AsyncGenerator<void, void> {
    return inTurns(
      run,
      this.logger,
      () => this.parts(run),
      () => this.beforeTurn(),
    );
  }

  get intervalSeconds(): number {
    return Math.min(Math.max(this.configuration.uploadTtlSeconds / 4, 1), MAX_INTERVAL_SECONDS);
  }

  private parts(run: JobRun): readonly JobPart[] {
    const { uploadTtlSeconds, uploadEventRetentionSeconds, uploadLeaseSeconds } = this.configuration;
    const { rows, displaced } = BATCH;
    const counted = (name: string, size: number, work: () => Promise<number>) =>
      inBatches(size, async () => {
        const done = await work();
        run.count(name, done);
        return done;
      });
    return [
      {
        failure: 'could not correct times of uploads in the future',
        batches: counted('correctedTimes', rows, () =>
          this.reaping.correctFutureTimes(uploadLeaseSeconds, rows),
        ),
      },
      { failure: 'could not expire uploads', batches: this.expire(run) },
      { failure: 'could not repair commits', batches: this.repairCommits(run) },
      { failure: 'could not remove bytes of ended uploads', batches: this.reclaimEnded(run) },
      { failure: 'could not remove bytes without an upload', batches: this.removeOrphans(run) },
      {
        failure: 'could not check displaced objects',
        batches: counted('checkedDisplacedObjects', displaced, () =>
          this.displaced.reap(displaced, run.signal),
        ),
      },
      {
        failure: 'could not delete old rows of uploads',
        batches: counted('deletedUploads', rows, () => this.reaping.prune(uploadTtlSeconds, rows)),
      },
      {
        failure: 'could not delete old events',
        batches: counted('deletedEvents', rows, () => this.events.prune(uploadEventRetentionSeconds, rows)),
      },
    ];
  }

  private async beforeTurn(): Promise<void> {
    // The storage can be exchanged during a run.
    await this.identity.verify();
    await this.claim.verify();
    await this.clock.observe(this.observationSeconds).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'could not observe the clock');
    });
  }

  /** A hundredth of an upload's time to live. A jump of the clock can cost an upload twice as much. */
  private get observationSeconds(): number {
    const hundredth = this.configuration.uploadTtlSeconds / 100;
    return Math.max(Math.min(hundredth, MAX_OBSERVATION_SECONDS), this.intervalSeconds);
  }

  /** Requests that have just ended a session remove its bytes themselves. */
  private get graceSeconds(): number {
    return this.configuration.uploadLeaseSeconds;
  }

  private expire(run: JobRun): AsyncGenerator<void, void> {
    const request = this.leases.leaseRequest(NO_REQUEST);
    return inBatches(BATCH.sessions, async () => {
      const { uploadTtlSeconds } = this.configuration;
      const expired = await this.reaping.expire(uploadTtlSeconds, BATCH.sessions, request);
      run.count('expiredUploads', expired.length);
      await this.reclaim(expired, run);
      return expired.length;
    });
  }

  private async *repairCommits(run: JobRun): AsyncGenerator<void, void> {
    const tried = new Set<UploadId>();
    while (tried.size < MAX_COMMITS) {
      const acquired = await this.acquireInterruptedCommits(tried, run);
      await Promise.all(acquired.map((commit) => this.repair(commit, tried, run)));
      if (acquired.length < BATCH.commits) return;
      yield;
    }
  }

  /**
   * Acquires up to a batch, one after the other: each query must exclude all that were tried before. If one
   * fails, the commits that were acquired are repaired; the next round tries again.
   */
  private async acquireInterruptedCommits(tried: Set<UploadId>, run: JobRun): Promise<AcquiredSession[]> {
    const batch: AcquiredSession[] = [];
    while (batch.length < BATCH.commits && !run.signal.aborted) {
      const request = this.leases.leaseRequest(NO_REQUEST);
      const acquired = await this.reaping
        .acquireInterruptedCommit(this.graceSeconds, [...tried], request)
        .catch((error: unknown) => {
          if (batch.length === 0) throw error;
          return undefined;
        });
      if (acquired === undefined) break;
      tried.add(acquired.session.id);
      batch.push(acquired);
    }
    return batch;
  }

  /** `tried` keeps the commit if it can't be repaired, until the next round. */
  private async repair(acquired: AcquiredSession, tried: Set<UploadId>, run: JobRun): Promise<void> {
    await this.attempt(run, 'could not repair an interrupted commit', async () => {
      const held = await this.leases.hold(acquired);
      try {
        await this.commits.resume(held);
      } finally {
        await held.release();
      }
      tried.delete(acquired.session.id);
      run.count('repairedCommits');
    });
  }

  private reclaimEnded(run: JobRun): AsyncGenerator<void, void> {
    return inBatches(BATCH.sessions, async () => {
      const ended = await this.reaping.findUnreclaimed(this.graceSeconds, BATCH.sessions);
      const reclaimed = await this.reclaim(ended, run);
      // If none could be removed, the storage is unavailable: the next round tries again.
      return reclaimed === 0 ? 0 : ended.length;
    });
  }

  /** Returns the number of sessions whose bytes were removed. */
  private async reclaim(ended: readonly UploadSession[], run: JobRun): Promise<number> {
    let reclaimed = 0;
    await this.forEach(run, ended, 'could not remove the bytes of an ended upload', async (session) => {
      try {
        await this.reclaims.reclaim(session);
        reclaimed += 1;
      } catch (error) {
        await this.reaping.postpone(session.id);
        throw error;
      }
    });
    run.count('reclaimedUploads', reclaimed);
    return reclaimed;
  }

  private async *removeOrphans(run: JobRun): AsyncGenerator<void, void> {
    const { signal } = run;
    const ageSeconds = Math.min(this.configuration.uploadTtlSeconds, MAX_ORPHAN_AGE_SECONDS);
    for await (const batch of storedUploadsBefore(Date.now() - 1000 * ageSeconds, this.driver, signal)) {
      if (batch.size > 0) await this.removeUnlessKnown(batch, run);
      yield;
    }
  }

  private async removeUnlessKnown(
    batch: ReadonlyMap<UploadId, readonly StoredUpload[]>,
    run: JobRun,
  ): Promise<void> {
    const known = await this.reaping.whichHoldBytes([...batch.keys()]);
    const orphans = [...batch].filter(([id]) => !known.has(id)).flatMap(([, stored]) => stored);
    // Again: the storage can have been exchanged while it was listed.
    if (orphans.length > 0) await this.identity.verify();
    await this.forEach(run, orphans, 'could not remove bytes without an upload', async ({ upload }) => {
      await this.driver.abortUpload(upload);
      run.count('removedOrphans');
    });
  }

  /** A few at a time, until the run stops. */
  private async forEach<T>(
    run: JobRun,
    items: readonly T[],
    failure: string,
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    await mapBounded(items, MAX_CONCURRENT, async (item) => {
      if (!run.signal.aborted) await this.attempt(run, failure, () => work(item));
    });
  }

  /** Logs and counts a failure: it must not stop the rest. */
  private async attempt(run: JobRun, failure: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (run.signal.aborted) return;
      this.logger.warn({ err: error }, failure);
      run.count('failures');
    }
  }
}
