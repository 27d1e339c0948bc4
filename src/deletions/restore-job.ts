import { Injectable } from '@nestjs/common';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import { DeletionStore } from './deletion.store.js';

/** Ids start at 1. */
const BEFORE_ALL = '0';

/** Restores large deletions in batches. A request wants a run; the interval is for a stopped run. */
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
    const failures: unknown[] = [];
    let id = await this.deletions.beingRestored(BEFORE_ALL);
    while (id !== undefined) {
      try {
        do {
          yield;
          if (run.signal.aborted) return;
        } while (await this.deletions.restoreBatch(id));
        run.count('deletions');
      } catch (error) {
        // It must not keep the others waiting. The next run tries it again.
        failures.push(error);
      }
      id = await this.deletions.beingRestored(id);
    }
    if (failures.length > 0) throw failures[0];
  }
}
