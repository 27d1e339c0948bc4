import { Injectable } from '@nestjs/common';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { DeletionStore } from './deletion.store.js';

/**
 * Restores large deletions in batches. A request for one queues a run; the interval is for those whose run
 * was stopped.
 */
@Injectable()
export class RestoreJob implements Job {
  readonly name = 'restore';
  readonly description = 'Restores large deletions';
  readonly intervalSeconds = 60;
  readonly hasDryRun = false;

  constructor(
    jobs: Jobs,
    private readonly deletions: DeletionStore,
  ) {
    jobs.register(this);
  }

  async *run(run: JobRun): AsyncGenerator<void, void> {
    for (;;) {
      const id = await this.deletions.beingRestored();
      if (id === undefined || run.signal.aborted) return;
      while (await this.deletions.restoreBatch(id)) {
        run.count('batches');
        yield;
        if (run.signal.aborted) return;
      }
      run.count('deletions');
    }
  }
}
