import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DisplacedObjects } from '../../blobs/displaced-objects.service.js';
import { Configuration } from '../../config/configuration.js';
import { settlesWithin } from '../../common/settles-within.js';
import { ExclusiveTask } from '../../maintenance/exclusive-task.js';
import { StorageIdentity } from '../../storage-identity/storage-identity.js';
import { parseUploadId, type UploadId } from '../../oci/upload-id.js';
import { BlobUploadUnknownError } from '../../oci/errors.js';
import { STORAGE_DRIVER, type StorageDriver, type StoredUpload } from '../../storage/storage-driver.js';
import { UploadCommitService } from '../commit/upload-commit.service.js';
import { UploadClock } from '../../maintenance/upload-clock.js';
import { UploadEventLog } from '../../events/upload-event-log.js';
import { UploadLeaseService } from '../session/upload-lease.service.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import { UploadReclaimService } from './upload-reclaim.service.js';
import type { UploadOrigin, UploadSession } from '../session/upload-session.js';

/** What is done before the next part of the work has its turn. */
const BATCH = { sessions: 100, commits: 4, displaced: 20, listed: 1_000, rows: 1_000 };

/**
 * Commits that fail before the reaper begins with them again: they are remembered, so that none is tried
 * twice.
 */
const MOST_COMMITS = 1_000;

/** An object store takes its time for each. */
const AT_ONCE = 4;

/** Then the other parts of a round begin again, and another process may have its turn. */
const LONGEST_ROUND_MS = 60_000;

const LONGEST_PAUSE_MS = 1_000;

/** A commit that is being repaired may have to copy a layer; a database may not answer. */
const STOP_PATIENCE_MS = 1_000;

const MAX_INTERVAL_SECONDS = 60;
const MAX_OBSERVATION_SECONDS = 600;
const MAX_ORPHAN_AGE_SECONDS = 3_600;

/** No request is behind it. */
const NO_REQUEST: UploadOrigin = { actor: null, clientAddress: null, userAgent: null };

/** A part of a round, in batches. Nothing of it is done before the first of them is asked for. */
interface Job {
  readonly failure: string;
  readonly batches: AsyncGenerator<void, void>;
}

/**
 * Clears up after uploads, now and then, in one process at a time:
 *
 * | what | how |
 * |---|---|
 * | sessions idle for `UPLOAD_TTL_SECONDS` | end as `expired`; their bytes are removed |
 * | commits that were interrupted | are carried through: the bytes had been verified |
 * | sessions that are over, whose bytes could not be removed at the time | their bytes are removed |
 * | objects whose place another one took | are removed, where that one is there |
 * | bytes that no session knows of | are removed, when they are old enough for a session to be there |
 * | rows of sessions that are over, old events | are deleted |
 * | times of sessions that are still to come | are set to now: the clock was ahead |
 *
 * Its parts take turns. A round ends after a minute; then the next one follows at once, going on with what
 * was left and beginning the other parts again. So no load can outrun it, and no part keeps the others
 * waiting.
 *
 * Nothing of it may touch a live upload: a row ends, fencing whoever still writes, before its bytes are
 * touched.
 */
@Injectable()
export class UploadReaper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(UploadReaper.name);
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  /** What the last round of this process did not get done. */
  private left: readonly Job[] = [];

  constructor(
    private readonly reaping: UploadReapingStore,
    private readonly reclaims: UploadReclaimService,
    private readonly leases: UploadLeaseService,
    private readonly commits: UploadCommitService,
    private readonly events: UploadEventLog,
    private readonly clock: UploadClock,
    private readonly displaced: DisplacedObjects,
    private readonly exclusive: ExclusiveTask,
    private readonly identity: StorageIdentity,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly configuration: Configuration,
  ) {}

  onApplicationBootstrap(): void {
    this.schedule();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    // Whatever it is at can be repeated by the next one.
    await settlesWithin(
      this.running.then(() => this.letGo()),
      STOP_PATIENCE_MS,
    );
  }

  /**
   * One round, unless another process is at it. Returns whether it left something to do, for want of time.
   *
   * @throws StorageIdentityError, having removed nothing, where storage and database don't belong together:
   * then bytes that no row knows are another database's, and objects that rows know are elsewhere.
   */
  async reap(): Promise<boolean> {
    const round = { isDone: true };
    await this.exclusive.run('upload reaper', async () => {
      round.isDone = await this.round();
    });
    return !round.isDone;
  }

  /** Returns whether everything is done. */
  private async round(): Promise<boolean> {
    const begun = this.left;
    this.left = this.jobs().map((job) => begun.find(({ failure }) => failure === job.failure) ?? job);
    try {
      await this.inTurn(performance.now() + LONGEST_ROUND_MS);
    } catch (error) {
      await this.letGo();
      throw error;
    }
    if (this.stopping.signal.aborted) await this.letGo();
    return this.left.length === 0;
  }

  private jobs(): readonly Job[] {
    const { uploadTtlSeconds, uploadEventRetentionSeconds, uploadLeaseSeconds } = this.configuration;
    const { rows, displaced } = BATCH;
    const { signal } = this.stopping;
    return [
      {
        failure: 'times of uploads that are still to come could not be corrected',
        batches: inBatches(rows, () => this.reaping.correctFutureTimes(uploadLeaseSeconds, rows)),
      },
      { failure: 'uploads could not be expired', batches: this.expire() },
      { failure: 'commits could not be repaired', batches: this.repairCommits() },
      { failure: 'bytes of ended uploads could not be removed', batches: this.reclaimEnded() },
      { failure: 'bytes without an upload could not be removed', batches: this.removeOrphans() },
      {
        failure: 'displaced objects could not be looked at',
        batches: inBatches(displaced, () => this.displaced.reap(displaced, signal)),
      },
      {
        failure: 'old rows of uploads could not be deleted',
        batches: inBatches(rows, () => this.reaping.prune(uploadTtlSeconds, rows)),
      },
      {
        failure: 'old events could not be deleted',
        batches: inBatches(rows, () => this.events.prune(uploadEventRetentionSeconds, rows)),
      },
    ];
  }

  /**
   * Does a batch of each job in turn, until all are done or it is time to end. The storage may be swapped
   * meanwhile, so each turn begins with looking whether it is the database's.
   */
  private async inTurn(deadline: number): Promise<void> {
    while (this.left.length > 0 && !this.stopping.signal.aborted && performance.now() < deadline) {
      await this.identity.verify();
      await this.step('the clock could not be observed', () => this.clock.observe(this.observationSeconds));
      for (const job of this.left) {
        if (await this.doBatch(job)) this.left = this.left.filter((other) => other !== job);
      }
    }
  }

  /** A listing that was begun has to be let go of. */
  private async letGo(): Promise<void> {
    const { left } = this;
    this.left = [];
    for (const { batches, failure } of left) {
      await this.step(failure, async () => {
        await batches.return();
      });
    }
  }

  /**
   * Does the next batch of a job. Returns whether that was its last. If not, it pauses for as long as the
   * batch took: a round of any length leaves half of the time to requests.
   */
  private async doBatch(job: Job): Promise<boolean> {
    if (this.stopping.signal.aborted) return false;
    const began = performance.now();
    const batch = { isLast: true };
    await this.step(job.failure, async () => {
      batch.isLast = (await job.batches.next()).done === true;
    });
    if (!batch.isLast) await this.pause(performance.now() - began);
    return batch.isLast;
  }

  /** Until the time is over, or the process stops. */
  private async pause(milliseconds: number): Promise<void> {
    const { signal } = this.stopping;
    await sleep(Math.min(milliseconds, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }

  private get roundSeconds(): number {
    return Math.min(Math.max(this.configuration.uploadTtlSeconds / 4, 1), MAX_INTERVAL_SECONDS);
  }

  /** A hundredth of an upload's time to live, which is what a jump of the clock can cost of it, twice. */
  private get observationSeconds(): number {
    const hundredth = this.configuration.uploadTtlSeconds / 100;
    return Math.max(Math.min(hundredth, MAX_OBSERVATION_SECONDS), this.roundSeconds);
  }

  private schedule(pauseMs = this.roundSeconds * 1000): void {
    if (this.stopping.signal.aborted) return;
    // Spread, so that replicas which were started together don't always ask together.
    const delayMs = pauseMs * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => {
      this.running = this.reap().then(
        (isWorkLeft) => this.schedule(isWorkLeft ? LONGEST_PAUSE_MS : undefined),
        (error: unknown) => {
          this.logger.warn({ err: error }, 'uploads could not be reaped');
          this.schedule();
        },
      );
    }, delayMs).unref();
  }

  private expire(): AsyncGenerator<void, void> {
    const request = this.leases.leaseRequest(NO_REQUEST);
    return inBatches(BATCH.sessions, async () => {
      const { uploadTtlSeconds } = this.configuration;
      const expired = await this.reaping.expire(uploadTtlSeconds, BATCH.sessions, request);
      await this.reclaim(expired);
      return expired.length;
    });
  }

  private async *repairCommits(): AsyncGenerator<void, void> {
    const tried = new Set<UploadId>();
    while (tried.size < MOST_COMMITS) {
      const repairs = Array.from({ length: BATCH.commits }, () => this.repairNextCommit(tried));
      if ((await Promise.all(repairs)).includes(false)) return;
      yield;
    }
  }

  /**
   * Returns whether there was one. `tried` has those that could not be repaired, and those that others are
   * at.
   */
  private async repairNextCommit(tried: Set<UploadId>): Promise<boolean> {
    if (this.stopping.signal.aborted) return false;
    const request = this.leases.leaseRequest(NO_REQUEST);
    const acquired = await this.reaping.acquireInterruptedCommit(this.graceSeconds, [...tried], request);
    if (acquired === undefined) return false;
    const { id } = acquired.session;
    tried.add(id);
    await this.step('an interrupted commit could not be repaired', async () => {
      const held = await this.leases.hold(acquired);
      try {
        await this.commits.resume(held);
      } finally {
        await held.release();
      }
      tried.delete(id);
    });
    return true;
  }

  private reclaimEnded(): AsyncGenerator<void, void> {
    return inBatches(BATCH.sessions, async () => {
      const ended = await this.reaping.findUnreclaimed(this.graceSeconds, BATCH.sessions);
      const reclaimed = await this.reclaim(ended);
      // Where nothing can be removed, the storage is away: the next round tries again.
      return reclaimed === 0 ? 0 : ended.length;
    });
  }

  /** Returns how many could be reclaimed. */
  private async reclaim(ended: readonly UploadSession[]): Promise<number> {
    let reclaimed = 0;
    await this.eachOf(ended, 'the bytes of an upload that is over stay for now', async (session) => {
      try {
        await this.reclaims.reclaim(session);
        reclaimed += 1;
      } catch (error) {
        await this.reaping.postpone(session.id);
        throw error;
      }
    });
    return reclaimed;
  }

  private async *removeOrphans(): AsyncGenerator<void, void> {
    const { signal } = this.stopping;
    const oldest = Date.now() - 1000 * Math.min(this.configuration.uploadTtlSeconds, MAX_ORPHAN_AGE_SECONDS);
    let batch = new Map<UploadId, StoredUpload[]>();
    let listed = 0;
    for await (const stored of this.driver.listUploads({ signal })) {
      listed += 1;
      if (listed % BATCH.listed === 0) yield;
      const id = uploadIdOf(stored);
      if (id === undefined || stored.modifiedAt.getTime() > oldest) continue;
      batch.set(id, [...(batch.get(id) ?? []), stored]);
      if (batch.size < BATCH.sessions) continue;
      await this.removeUnlessKnown(batch);
      batch = new Map();
      yield;
    }
    await this.removeUnlessKnown(batch);
  }

  private async removeUnlessKnown(batch: ReadonlyMap<UploadId, readonly StoredUpload[]>): Promise<void> {
    if (batch.size === 0) return;
    const known = await this.reaping.whichHoldBytes([...batch.keys()]);
    const orphans = [...batch].filter(([id]) => !known.has(id)).flatMap(([, stored]) => stored);
    // Again: between the beginning of the round and this list, another storage may have taken the place.
    if (orphans.length > 0) await this.identity.verify();
    await this.eachOf(orphans, 'bytes without an upload stay for now', ({ upload }) =>
      this.driver.abortUpload(upload),
    );
  }

  /** A request that has just ended something clears up by itself. */
  private get graceSeconds(): number {
    return this.configuration.uploadLeaseSeconds;
  }

  /** A few at a time, until the process stops. */
  private async eachOf<T>(
    things: readonly T[],
    failure: string,
    work: (thing: T) => Promise<void>,
  ): Promise<void> {
    const waiting = things.values();
    const doNext = async () => {
      for (const thing of waiting) {
        if (this.stopping.signal.aborted) return;
        await this.step(failure, () => work(thing));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, doNext));
  }

  /** One thing that can't be done is in nobody's way. */
  private async step(failure: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.stopping.signal.aborted) this.logger.warn({ err: error }, failure);
    }
  }
}

/** Does work of `size` things at the most at a time, until there are fewer. */
async function* inBatches(size: number, work: () => Promise<number>): AsyncGenerator<void, void> {
  while ((await work()) >= size) yield;
}

/** What isn't named as Berth names uploads isn't Berth's. */
function uploadIdOf({ upload }: StoredUpload): UploadId | undefined {
  try {
    return parseUploadId(upload.id);
  } catch (error) {
    if (error instanceof BlobUploadUnknownError) return undefined;
    throw error;
  }
}
