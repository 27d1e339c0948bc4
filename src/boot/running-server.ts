import type { StopOptions } from './stop-options.js';
import type { WorkInProgress } from './work-in-progress.js';

/** A registry or a front that serves, in this process or in workers. */
export interface RunningServer {
  readonly url: string;
  /** Of the listener of `METRICS_ADDRESS`, if there is one. */
  readonly metricsUrl?: string | undefined;
  /** Resolves with a sentence if it can no longer serve: its database has ended, or its workers. */
  readonly died: Promise<string>;
  /** What a stop would wait for. Never rejects. */
  work(): Promise<WorkInProgress>;
  /** Replaces the processes that serve by new ones, from the code on disk. One that serves itself can't. */
  handOver(): void;
  /**
   * Stops accepting connections, waits for requests (without `options` for the full grace of the settings),
   * checkpoints and releases the remaining uploads, and closes everything. A second call can only make the
   * wait shorter.
   */
  close(options?: StopOptions): Promise<void>;
}
