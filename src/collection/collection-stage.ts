import type { JobRun } from '../jobs/job.js';

/**
 * A part of a collection. Each run of the job `collect` runs all stages, in an order in which one stage makes
 * work for the next.
 */
export interface CollectionStage {
  /** For the log. */
  readonly name: string;
  /**
   * Does what is due, in batches, and yields after each. It may yield less often after batches that take no
   * time. Ends soon after `run.signal` aborts.
   *
   * @throws ContendedError if a batch could not get a lock in time: the rest is left for a later run.
   */
  run(run: JobRun): AsyncGenerator<void, void>;
}
