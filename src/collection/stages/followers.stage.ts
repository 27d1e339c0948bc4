import { Injectable } from '@nestjs/common';
import type { JobRun } from '../../jobs/job.js';
import type { CollectionStage } from '../collection-stage.js';
import { CollectionStore, type FollowPosition } from '../collection.store.js';
import { Pace } from '../pace.js';

/** Deletions of one query. */
const AT_ONCE = 1_000;

const START: FollowPosition = { manifest: '0', relation: 1, key: '', isClean: true };

/**
 * Extends deletions of manifests to what nothing else holds: children, referrers, and tags that stand for
 * signatures. It looks at each deletion until it finds nothing more.
 */
@Injectable()
export class FollowersStage implements CollectionStage {
  readonly name = 'followers';

  constructor(private readonly store: CollectionStore) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    const pace = new Pace();
    for (let after = '0'; !run.signal.aborted;) {
      const deletions = await this.store.unfollowed(after, AT_ONCE);
      for (const deletion of deletions) yield* this.follow(deletion, run, pace);
      const last = deletions.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  private async *follow(deletion: string, run: JobRun, pace: Pace): AsyncGenerator<void, void> {
    let position: FollowPosition | undefined = START;
    let changed = 0;
    while (position !== undefined && !run.signal.aborted) {
      const step = await this.store.follow(deletion, position);
      run.count('followers', step.deleted);
      run.count('followerTags', step.untagged);
      changed += step.deleted + step.untagged;
      if (step.position?.manifest === START.manifest) {
        // A pass without an effect that is not the last one: requests had locked what it found.
        if (changed === 0) return;
        changed = 0;
      }
      position = step.position;
      if (pace.isOver()) {
        yield;
        pace.restart();
      }
    }
  }
}
