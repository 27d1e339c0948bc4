import { Logger } from '@nestjs/common';
import { settlesWithin } from '../common/settles-within.js';

/** Pause before a run that continues the work of the last one. */
const CONTINUE_MS = 1_000;

/** A run may be copying a layer, or waiting for the database. */
const STOP_TIMEOUT_MS = 1_000;

export interface PeriodicTaskOptions {
  /** For the log. */
  readonly name: string;
  readonly intervalMs: number;
  /**
   * Returns whether work is left: then the next run follows soon. Ends soon after the task's signal aborts.
   */
  readonly run: () => Promise<boolean>;
}

/** Background work that runs again and again, one run at a time in this process. A failed run is logged. */
export class PeriodicTask {
  private readonly logger = new Logger(PeriodicTask.name);
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: PeriodicTaskOptions) {}

  /** Aborts when the task is stopped. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  start(): void {
    this.schedule(this.options.intervalMs);
  }

  /** Stops the task: waits a second for a run that ends, and for `cleanUp` after it. */
  async stop(cleanUp: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await settlesWithin(this.running.then(cleanUp), STOP_TIMEOUT_MS);
  }

  private schedule(pauseMs: number): void {
    if (this.signal.aborted) return;
    // Jitter, so that replicas which started together do not run together.
    const delayMs = pauseMs * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => {
      this.running = this.runOnce();
    }, delayMs).unref();
  }

  private async runOnce(): Promise<void> {
    const { name, intervalMs, run } = this.options;
    let isWorkLeft = false;
    try {
      isWorkLeft = await run();
    } catch (error) {
      this.logger.warn({ err: error, task: name }, 'a periodic task failed');
    }
    this.schedule(isWorkLeft ? CONTINUE_MS : intervalMs);
  }
}
