import { Injectable } from '@nestjs/common';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { DeletionStore } from './deletion.store.js';

/** Restores large deletions in batches. A request queues a run; the interval is for a stopped run. */
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
    for (
      let id = await this.deletions.beingRestored();
      id !== undefined;
      id = await this.deletions.beingRestored()
    ) {
      do {
        yield;
        if (run.signal.aborted) return;
      } while (await this.deletions.restoreBatch(id));
      run.count('deletions');
    }
  }
}
