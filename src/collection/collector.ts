import { Inject, Injectable, Logger } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { ContendedError } from '../database/errors/contended.error.js';
import type { Job, JobRun } from '../jobs/job.js';
import { Jobs } from '../jobs/jobs.js';
import type { CollectionStage } from './collection-stage.js';
import { ForecastQuery } from './forecast/forecast.query.js';

/** The stages of a collection, in the order in which they run. */
export const COLLECTION_STAGES = Symbol('COLLECTION_STAGES');

/** A stage with more work lets the others have a turn. */
const MAX_TURN_MS = 30_000;

/**
 * The job `collect`: finds what nothing needs any more and deletes it, while Berth serves (docs/adr/0030,
 * docs/adr/0031). Safe beside requests and beside other collectors, since each stage locks rows before it
 * looks at what needs them.
 */
@Injectable()
export class Collector implements Job {
  readonly name = 'collect';
  readonly description = 'Deletes for good what nothing needs any more and what can no longer be restored';
  readonly intervalSeconds: number;
  readonly hasDryRun = true;
  private readonly logger = new Logger(Collector.name);

  constructor(
    @Inject(COLLECTION_STAGES) private readonly stages: readonly CollectionStage[],
    private readonly forecast: ForecastQuery,
    configuration: Configuration,
    jobs: Jobs,
  ) {
    this.intervalSeconds = configuration.gcIntervalSeconds;
    jobs.register(this);
  }

  /**
   * One collection: all stages, in turns, until none has work left. If one fails, the others run, and then
   * this throws its error. A dry run only counts what they would do.
   */
  async *run(run: JobRun): AsyncGenerator<void, void> {
    if (run.isDryRun) return await this.dryRun(run);
    const failures: unknown[] = [];
    const unfinished = new Map<CollectionStage, AsyncGenerator<void, void>>();
    try {
      do {
        // A stage that has ended runs again while another one has work, which may make work for it.
        for (const stage of this.stages) {
          const batches = unfinished.get(stage) ?? stage.run(run);
          unfinished.set(stage, batches);
          try {
            if (yield* this.takeTurn(batches, run)) unfinished.delete(stage);
          } catch (error) {
            unfinished.delete(stage);
            this.report(stage, error, failures);
          }
          if (run.signal.aborted) return;
        }
      } while (unfinished.size > 0);
    } finally {
      for (const batches of unfinished.values()) await batches.return();
    }
    if (failures.length > 0) throw failures[0];
  }

  private async dryRun(run: JobRun): Promise<void> {
    const { now, afterWindows, stages } = await this.forecast.measure();
    run.count('deletionsToFollow', stages.followers.count);
    run.count('untagged.count', stages.untagged.count ?? 0);
    run.count('untagged.bytes', stages.untagged.bytes ?? 0);
    for (const [when, total] of Object.entries({ now, afterWindows }))
      for (const [name, value] of Object.entries(total as object as Record<string, number>))
        run.count(`${when}.${name}`, value);
  }

  /** Returns whether the stage has ended. */
  private async *takeTurn(
    batches: AsyncGenerator<void, void>,
    { signal }: JobRun,
  ): AsyncGenerator<void, boolean> {
    const deadline = performance.now() + MAX_TURN_MS;
    while (performance.now() < deadline && !signal.aborted) {
      if ((await batches.next()).done === true) return true;
      yield;
    }
    return false;
  }

  private report({ name }: CollectionStage, error: unknown, failures: unknown[]): void {
    if (error instanceof ContendedError) {
      this.logger.debug({ err: error, stage: name }, 'the rest of a stage is left for a later collection');
    } else {
      this.logger.warn({ err: error, stage: name }, 'a stage of the collection failed');
      failures.push(error);
    }
  }
}
