import { Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import type { JobRun, JsonValue } from '../../jobs/job.js';
import { positionOf, saveStageCursor, stageCursor } from '../collection-cursor.js';
import type { CollectionStage } from '../collection-stage.js';
import { CollectionStore } from '../collection.store.js';

/** The name of the stage, and of its part of the cursor. */
export const UNTAGGED = 'untagged';

/**
 * Deletes manifests that have been without a tag for `GC_UNTAGGED_SECONDS`. A push pays nothing for it: two
 * cursors follow the times of pushes and the events of tags, so that each manifest is looked at when it may
 * be old enough. What was busy, or may still be written, is before the saved cursor and is looked at again.
 */
@Injectable()
export class UntaggedStage implements CollectionStage {
  readonly name = UNTAGGED;

  constructor(
    private readonly store: CollectionStore,
    private readonly configuration: Configuration,
  ) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    if (this.configuration.gcUntaggedSeconds === 0) return;
    yield* this.byPush(run);
    yield* this.byEvent(run);
  }

  private async *byPush(run: JobRun): AsyncGenerator<void, void> {
    const saved = stageCursor(run, this.name);
    let [pushedAt, manifest] = [
      positionOf(saved['pushedAt'], '-infinity'),
      positionOf(saved['manifest'], '0'),
    ];
    let isSettled = true;
    while (!run.signal.aborted) {
      const step = await this.store.deleteUntaggedByPush(pushedAt, manifest);
      run.count('untagged', step.deleted);
      if (isSettled && step.settled_at !== null)
        this.save(run, { pushedAt: step.settled_at, manifest: step.settled_manifest });
      isSettled &&= step.is_settled;
      if (step.looked < this.store.batch) return;
      [pushedAt, manifest] = [step.pushed_at, step.manifest];
      yield;
    }
  }

  private async *byEvent(run: JobRun): AsyncGenerator<void, void> {
    let event = positionOf(stageCursor(run, this.name)['event'], '0');
    let isSettled = true;
    while (!run.signal.aborted) {
      const step = await this.store.deleteUntaggedByEvent(event);
      run.count('untagged', step.deleted);
      if (isSettled && step.settled_event !== null) this.save(run, { event: step.settled_event });
      isSettled &&= step.is_settled;
      if (step.looked < this.store.batch) return;
      event = step.event;
      yield;
    }
  }

  private save(run: JobRun, position: Readonly<Record<string, JsonValue>>): void {
    saveStageCursor(run, this.name, { ...stageCursor(run, this.name), ...position });
  }
}
