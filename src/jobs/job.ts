/** A value that JSON can express. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * Background work that one process does at a time, among all that share the database. Register it with
 * `Jobs.register` before the application is initialised.
 *
 * The lease does not make it safe: a frozen process may continue its batch while another process continues
 * the run. So two runs at the same time must do no harm, and a batch may be repeated.
 */
export interface Job {
  /** Lower-case letters and hyphens: `collect`. */
  readonly name: string;
  /** For operators: what it does. One sentence without a full stop. */
  readonly description: string;
  /** About the time from the end of a run to the next one. 0: it runs only when an operator requests it. */
  readonly intervalSeconds: number;
  /** Whether `run` respects `isDryRun`. Requests for a dry run of other jobs are refused. */
  readonly hasDryRun: boolean;
  /**
   * Does one run in batches, and yields after each. Then the runner saves cursor and progress, prolongs the
   * lease, and pauses for as long as the batch took. A batch should take less than a second, and must take
   * less than the lease of a minute.
   *
   * It must end soon after `run.signal` aborts. If it throws, the run has failed; the next one comes after
   * the interval.
   */
  run(run: JobRun): AsyncGenerator<void, void>;
}

/** What a job knows of its run. */
export interface JobRun {
  /** Aborts when an operator stops the run, when the process stops, or when the lease is lost. */
  readonly signal: AbortSignal;
  /** True: change nothing, only count. */
  readonly isDryRun: boolean;
  /** As it was saved last, by this run or an earlier one; null at first. */
  readonly cursor: JsonValue;
  /** Saved with the next `yield`, or at the end of the run. Ignored in a dry run. */
  saveCursor(cursor: JsonValue): void;
  /** Adds to a number of the run's progress, which is saved with the next `yield`. */
  count(name: string, by?: number): void;
  /**
   * Prolongs the lease. Call it before effects outside the database.
   *
   * @throws JobLeaseLostError if another process has claimed the job, or the run shall stop.
   */
  verifyLease(): Promise<void>;
}
