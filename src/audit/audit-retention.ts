import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { inBatches } from '../jobs/job-parts.js';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { AuditLog } from './audit-log.js';

const BATCH = 1_000;

/** The job `prune-audit-log`, which deletes events older than `AUDIT_RETENTION_SECONDS`, once an hour. */
@Injectable()
export class AuditRetention implements Job, OnModuleInit {
  readonly name = 'prune-audit-log';
  readonly description = 'Deletes old events of the audit log';
  readonly intervalSeconds = 60 * 60;
  readonly hasDryRun = false;

  constructor(
    private readonly log: AuditLog,
    private readonly configuration: Configuration,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  run(run: JobRun): AsyncGenerator<void, void> {
    return inBatches(BATCH, async () => {
      const deleted = await this.log.prune(this.configuration.auditRetentionSeconds, BATCH);
      run.count('deletedEvents', deleted);
      return deleted;
    });
  }
}
