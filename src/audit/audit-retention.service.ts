import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { BatchedJobs, inBatches } from '../maintenance/batched-jobs.js';
import { ExclusiveTask } from '../maintenance/exclusive-task.js';
import { PeriodicTask } from '../maintenance/periodic-task.js';
import { AuditLog } from './audit-log.js';

const INTERVAL_MS = 60 * 60 * 1000;
const BATCH = 1_000;
const NAME = 'audit retention';

/** Deletes events older than `AUDIT_RETENTION_SECONDS`, once an hour, in one process at a time. */
@Injectable()
export class AuditRetention implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly schedule: PeriodicTask;
  private readonly jobs: BatchedJobs;

  constructor(
    private readonly log: AuditLog,
    private readonly exclusive: ExclusiveTask,
    private readonly configuration: Configuration,
  ) {
    this.schedule = new PeriodicTask({ name: NAME, intervalMs: INTERVAL_MS, run: () => this.expire() });
    this.jobs = new BatchedJobs(this.schedule.signal, new Logger(AuditRetention.name));
  }

  onApplicationBootstrap(): void {
    this.schedule.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.schedule.stop(() => this.jobs.close());
  }

  /** Runs one round, unless another process does. Returns whether work is left. */
  async expire(): Promise<boolean> {
    const { auditRetentionSeconds } = this.configuration;
    const job = {
      failure: 'could not delete old events of the audit log',
      batches: inBatches(BATCH, () => this.log.prune(auditRetentionSeconds, BATCH)),
    };
    const isWorkLeft = await this.exclusive.run(NAME, () => this.jobs.round([job], () => Promise.resolve()));
    return isWorkLeft ?? false;
  }
}
