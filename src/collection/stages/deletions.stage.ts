import { Injectable } from '@nestjs/common';
import type { JobRun } from '../../jobs/job.js';
import type { CollectionStage } from '../collection-stage.js';
import { CollectionStore, type PurgePosition } from '../collection.store.js';
import { Pace } from '../pace.js';

/** Deletions of one query. */
const AT_ONCE = 1_000;

/**
 * Purges deletions that can't be restored any more: first manifests, then whole repositories. Rows of
 * deletions that ended long ago go, too.
 */
@Injectable()
export class DeletionsStage implements CollectionStage {
  readonly name = 'deletions';

  constructor(private readonly store: CollectionStore) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    yield* this.repeat(run, 'expired', () => this.store.expireDeletions());
    // A pass can delete an index and leave its children, which only the next pass may delete.
    while (!run.signal.aborted) {
      const counter = { purged: 0 };
      yield* this.purgeManifests(run, counter);
      if (counter.purged === 0) break;
    }
    yield* this.purgeRepositories(run);
    yield* this.repeat(run, 'forgotten', () => this.store.pruneDeletions());
  }

  private async *purgeManifests(run: JobRun, counter: { purged: number }): AsyncGenerator<void, void> {
    let position: PurgePosition | undefined = { deletion: '0', manifest: null };
    while (!run.signal.aborted) {
      const step = await this.store.purgeDeletions(position);
      run.count('manifests', step.purged);
      run.count('deletions', step.ended);
      counter.purged += step.purged;
      position = step.position;
      if (position === undefined) return;
      yield;
    }
  }

  private async *purgeRepositories(run: JobRun): AsyncGenerator<void, void> {
    const pace = new Pace();
    for (let after = '0'; !run.signal.aborted;) {
      const deletions = await this.store.purgingRepositories(after, AT_ONCE);
      for (const deletion of deletions) yield* this.purgeRepository(deletion, run, pace);
      const last = deletions.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  private async *purgeRepository(deletion: string, run: JobRun, pace: Pace): AsyncGenerator<void, void> {
    while (!run.signal.aborted) {
      const step = await this.store.purgeRepository(deletion);
      run.count('manifests', step.purged);
      if (step.is_over) run.count('deletions');
      if (step.is_over || step.changed === 0) return;
      if (pace.isOver()) {
        yield;
        pace.restart();
      }
    }
  }

  private async *repeat(
    run: JobRun,
    counter: string,
    work: () => Promise<number>,
  ): AsyncGenerator<void, void> {
    while (!run.signal.aborted) {
      const n = await work();
      run.count(counter, n);
      if (n === 0) return;
      yield;
    }
  }
}
