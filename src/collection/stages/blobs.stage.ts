import { Injectable } from '@nestjs/common';
import type { JobRun } from '../../jobs/job.js';
import type { CollectionStage } from '../collection-stage.js';
import { type BlobPosition, CollectionStore } from '../collection.store.js';

/** Deletes blobs that no repository links. Their objects are to be deleted `GC_READ_WINDOW_SECONDS` later. */
@Injectable()
export class BlobsStage implements CollectionStage {
  readonly name = 'blobs';

  constructor(private readonly store: CollectionStore) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    let position: BlobPosition | undefined = { since: '-infinity', blob: '0' };
    while (!run.signal.aborted) {
      const step = await this.store.collectBlobs(position);
      run.count('blobs', step.deleted);
      run.count('blobBytes', step.bytes);
      position = step.position;
      if (position === undefined) return;
      yield;
    }
  }
}
