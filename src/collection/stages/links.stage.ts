import { Injectable } from '@nestjs/common';
import type { JobRun } from '../../jobs/job.js';
import type { CollectionStage } from '../collection-stage.js';
import { CollectionStore, type LinkPosition } from '../collection.store.js';

/**
 * Deletes links that nothing has needed for `GC_GRACE_SECONDS`. Each candidate is looked at once: it is
 * deleted or stops being a candidate.
 */
@Injectable()
export class LinksStage implements CollectionStage {
  readonly name = 'links';

  constructor(private readonly store: CollectionStore) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    let position: LinkPosition | undefined = { since: '-infinity', repository: '0', blob: '0' };
    while (!run.signal.aborted) {
      const step = await this.store.collectLinks(position);
      run.count('links', step.deleted);
      run.count('neededLinks', step.looked - step.deleted);
      position = step.position;
      if (position === undefined) return;
      yield;
    }
  }
}
