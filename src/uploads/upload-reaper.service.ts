import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { settlesWithin } from '../config/settles-within.js';
import { ExclusiveTask } from '../database/exclusive-task.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';
import { BlobUploadUnknownError } from '../oci/errors.js';
import { STORAGE_DRIVER, type StorageDriver, type StoredUpload } from '../storage/storage-driver.js';
import { UploadCommitService } from './upload-commit.service.js';
import { UploadEventLog } from './upload-event-log.js';
import { UploadLeaseService } from './upload-lease.service.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import { remainsOf, UploadReclaimService } from './upload-reclaim.service.js';
import type { UploadOrigin, UploadSession } from './upload-session.js';

/** Work of one round, so that a round ends; what is left is the next one's. */
const ROUND = { batch: 100, batches: 20, commits: 100, rows: 1_000 };

/** A commit that is being repaired may have to copy a layer; a database may not answer. */
const STOP_PATIENCE_MS = 1_000;

const MAX_INTERVAL_SECONDS = 60;
const MAX_ORPHAN_AGE_SECONDS = 3_600;

/** No request is behind it. */
const NOBODY: UploadOrigin = { createdBy: null, clientAddress: null, userAgent: null };

/**
 * Clears up after uploads, now and then, in one process at a time:
 *
 * | what | how |
 * |---|---|
 * | sessions idle for `UPLOAD_TTL_SECONDS` | end as `expired`; their bytes are removed |
 * | commits that were interrupted | are carried through: the bytes had been verified |
 * | sessions that are over, whose bytes could not be removed at the time | their bytes are removed |
 * | bytes that no session knows of | are removed, when they are old enough for a session to be there |
 * | rows of sessions that are over, old events | are deleted |
 *
 * Nothing of it may touch a live upload: a row ends, fencing whoever still writes, before its bytes are touched.
 */
@Injectable()
export class UploadReaper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(UploadReaper.name);
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly reaping: UploadReapingStore,
    private readonly reclaims: UploadReclaimService,
    private readonly leases: UploadLeaseService,
    private readonly commits: UploadCommitService,
    private readonly events: UploadEventLog,
    private readonly exclusive: ExclusiveTask,
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
    await settlesWithin(this.running, STOP_PATIENCE_MS);
  }

  /** One round, unless another process is at it. */
  async reap(): Promise<void> {
    await this.exclusive.run('upload reaper', async () => {
      const { uploadTtlSeconds, uploadEventRetentionSeconds } = this.configuration;
      await this.step('uploads could not be expired', () => this.expire(uploadTtlSeconds));
      await this.step('commits could not be repaired', () => this.repairCommits());
      await this.step('bytes of ended uploads could not be removed', () => this.reclaimEnded());
      await this.step('bytes without an upload could not be removed', () => this.removeOrphans());
      await this.step('old rows could not be deleted', async () => {
        await this.inBatches(ROUND.rows, () => this.reaping.prune(uploadTtlSeconds, ROUND.rows));
        await this.inBatches(ROUND.rows, () => this.events.prune(uploadEventRetentionSeconds, ROUND.rows));
      });
    });
  }

  private schedule(): void {
    if (this.stopping.signal.aborted) return;
    const seconds = Math.min(Math.max(this.configuration.uploadTtlSeconds / 4, 1), MAX_INTERVAL_SECONDS);
    // Spread, so that replicas which were started together don't always ask together.
    const delayMs = seconds * 1000 * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => {
      this.running = this.reap()
        .catch((error: unknown) => this.logger.warn({ err: error }, 'uploads could not be reaped'))
        .finally(() => this.schedule());
    }, delayMs).unref();
  }

  private async expire(ttlSeconds: number): Promise<void> {
    const claimant = this.leases.claimant(NOBODY);
    await this.inBatches(ROUND.batch, async () => {
      const expired = await this.reaping.expire(ttlSeconds, ROUND.batch, claimant);
      await this.reclaim(expired);
      return expired.length;
    });
  }

  private async repairCommits(): Promise<void> {
    const claimant = this.leases.claimant(NOBODY);
    const tried: UploadId[] = [];
    while (tried.length < ROUND.commits && !this.stopping.signal.aborted) {
      const taking = await this.reaping.takeInterruptedCommit(this.graceSeconds, tried, claimant);
      if (taking === undefined) return;
      tried.push(taking.session.id);
      await this.step('an interrupted commit could not be repaired', async () => {
        const held = await this.leases.hold(taking);
        try {
          await this.commits.resume(held);
        } finally {
          await held.release();
        }
      });
    }
  }

  private async reclaimEnded(): Promise<void> {
    await this.inBatches(ROUND.batch, async () => {
      const ended = await this.reaping.findUnreclaimed(this.graceSeconds, ROUND.batch);
      await this.reclaim(ended);
      return ended.length;
    });
  }

  private async reclaim(ended: readonly UploadSession[]): Promise<void> {
    for (const session of ended) {
      if (this.stopping.signal.aborted) return;
      await this.step('the bytes of an upload that is over stay for now', async () => {
        try {
          await this.reclaims.reclaim(remainsOf(session));
        } catch (error) {
          await this.reaping.postpone(session.id);
          throw error;
        }
      });
    }
  }

  private async removeOrphans(): Promise<void> {
    const { signal } = this.stopping;
    const oldest = Date.now() - 1000 * Math.min(this.configuration.uploadTtlSeconds, MAX_ORPHAN_AGE_SECONDS);
    let batch = new Map<UploadId, StoredUpload[]>();
    for await (const stored of this.driver.listUploads({ signal })) {
      const id = uploadIdOf(stored);
      if (id === undefined || stored.modifiedAt.getTime() > oldest) continue;
      batch.set(id, [...(batch.get(id) ?? []), stored]);
      if (batch.size < ROUND.batch) continue;
      await this.removeUnlessKnown(batch);
      batch = new Map();
    }
    await this.removeUnlessKnown(batch);
  }

  private async removeUnlessKnown(batch: ReadonlyMap<UploadId, readonly StoredUpload[]>): Promise<void> {
    if (batch.size === 0) return;
    const known = await this.reaping.whichHoldBytes([...batch.keys()]);
    const orphans = [...batch].filter(([id]) => !known.has(id)).flatMap(([, stored]) => stored);
    for (const { upload } of orphans) {
      await this.step('bytes without an upload stay for now', () => this.driver.abortUpload(upload));
    }
  }

  /** A request that has just ended something clears up by itself. */
  private get graceSeconds(): number {
    return this.configuration.uploadLeaseSeconds;
  }

  private async inBatches(size: number, work: () => Promise<number>): Promise<void> {
    for (let count = 0; count < ROUND.batches && !this.stopping.signal.aborted; count += 1) {
      if ((await work()) < size) return;
    }
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

/** What isn't named as Berth names uploads isn't Berth's. */
function uploadIdOf({ upload }: StoredUpload): UploadId | undefined {
  try {
    return parseUploadId(upload.id);
  } catch (error) {
    if (error instanceof BlobUploadUnknownError) return undefined;
    throw error;
  }
}
