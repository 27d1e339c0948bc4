import { Injectable, type OnModuleInit } from '@nestjs/common';
import { inBatches } from '../jobs/job-parts.js';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { IdempotentRequests } from './idempotent-requests.js';

const BATCH = 1_000;

/** A request can be repeated for at least so long. */
const KEPT_SECONDS = 60 * 60;

/** The job `prune-requests`, which forgets requests with an `Idempotency-Key` after an hour. */
@Injectable()
export class RequestRetention implements Job, OnModuleInit {
  readonly name = 'prune-requests';
  readonly description = 'Forgets requests with an Idempotency-Key after an hour';
  readonly intervalSeconds = 10 * 60;
  readonly hasDryRun = false;

  constructor(
    private readonly requests: IdempotentRequests,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  run(run: JobRun): AsyncGenerator<void, void> {
    return inBatches(BATCH, async () => {
      const deleted = await this.requests.prune(KEPT_SECONDS, BATCH);
      run.count('deletedRequests', deleted);
      return deleted;
    });
  }
}
