import { Injectable, Logger } from '@nestjs/common';
import type { JobRun, JsonValue } from '../../jobs/job.js';
import { positionOf, saveStageCursor, stageCursor } from '../collection-cursor.js';
import type { CollectionStage } from '../collection-stage.js';
import { CollectionStore } from '../collection.store.js';
import { UNTAGGED } from './untagged.stage.js';

const WEEK_MS = 7 * 86_400_000;

/** Rows of a batch, which are only read. */
const BATCH_ROWS = 2_000;

/**
 * Checks once a week what the collector relies on: each link that nothing needs, and each blob without a
 * link, has a date. If one has none, a trigger was disabled, or there is a bug: it logs an error and sets the
 * date, so that the bytes are collected.
 *
 * It also repairs what a jump of the database's clock leaves: dates far ahead, and manifests that the cursors
 * of `untagged` have passed too early.
 */
@Injectable()
export class SelfCheckStage implements CollectionStage {
  readonly name = 'selfCheck';
  private readonly logger = new Logger(SelfCheckStage.name);

  constructor(private readonly store: CollectionStore) {}

  async *run(run: JobRun): AsyncGenerator<void, void> {
    const { finishedAt } = stageCursor(run, this.name);
    if (typeof finishedAt === 'string' && Date.now() - Date.parse(finishedAt) < WEEK_MS) return;
    yield* this.checkLinks(run);
    yield* this.checkBlobs(run);
    yield* this.correctDates(run);
    if (run.signal.aborted) return;
    const undated = this.undated(run);
    if (undated > 0)
      this.logger.error(
        { undated },
        'links or blobs that nothing needs had no date, so they would never have been collected: ' +
          'it is set now; check that the triggers of the tables manifest_blobs and repository_blobs are ' +
          'enabled',
      );
    // The next run looks at all manifests without a tag again.
    saveStageCursor(run, UNTAGGED, {});
    saveStageCursor(run, this.name, { finishedAt: new Date().toISOString() });
  }

  private async *correctDates(run: JobRun): AsyncGenerator<void, void> {
    while (!run.signal.aborted) {
      const corrected = await this.store.correctFutureDates();
      run.count('correctedDates', corrected);
      if (corrected === 0) return;
      yield;
    }
  }

  private async *checkLinks(run: JobRun): AsyncGenerator<void, void> {
    while (!run.signal.aborted) {
      const saved = stageCursor(run, this.name);
      if (saved['blob'] !== undefined) return;
      const repository = positionOf(saved['linkRepository'], '0');
      const step = await this.store.checkLinks(repository, positionOf(saved['linkBlob'], '0'), BATCH_ROWS);
      this.save(run, step.undated, { linkRepository: step.repository, linkBlob: step.blob });
      if (step.looked < BATCH_ROWS) this.save(run, 0, { blob: '0' });
      yield;
    }
  }

  private async *checkBlobs(run: JobRun): AsyncGenerator<void, void> {
    while (!run.signal.aborted) {
      const blob = positionOf(stageCursor(run, this.name)['blob'], '0');
      const step = await this.store.checkBlobs(blob, BATCH_ROWS);
      this.save(run, step.undated, { blob: step.blob });
      if (step.looked < BATCH_ROWS) return;
      yield;
    }
  }

  private save(run: JobRun, undated: number, position: Readonly<Record<string, JsonValue>>): void {
    run.count('undated', undated);
    const saved = stageCursor(run, this.name);
    saveStageCursor(run, this.name, { ...saved, ...position, undated: this.undated(run) + undated });
  }

  /** Found so far, also by an earlier run that was interrupted. */
  private undated(run: JobRun): number {
    return Number(stageCursor(run, this.name)['undated'] ?? 0);
  }
}
