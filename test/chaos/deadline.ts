import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/** The run exceeded its time limit or made no progress. */
export class DeadlineExceededError extends Error {
  constructor(
    pending: string,
    /** No progress. Otherwise the machine was only slow. */
    readonly hangs: boolean,
  ) {
    super(`${hangs ? 'no progress' : 'time limit exceeded'}: ${pending}`);
  }
}

/** Ends a run that hangs. The work of a run is bounded by counts; these times only catch hangs. */
export class Deadline {
  private readonly startedAt = performance.now();

  /**
   * @param totalSeconds time limit; a run that still makes progress ends as too slow to tell
   * @param stallSeconds a run without progress for this long fails
   */
  constructor(
    private readonly totalSeconds: number,
    private readonly stallSeconds: number,
    private readonly progressedAt: () => number,
  ) {}

  get isOver(): boolean {
    return this.hangs || performance.now() - this.startedAt >= this.totalSeconds * 1000;
  }

  error(pending: string): DeadlineExceededError {
    return new DeadlineExceededError(pending, this.hangs);
  }

  /** Waits until `holds` returns true. Rejects after `seconds` or at the deadline of the run. */
  async until(what: string, holds: () => boolean | Promise<boolean>, seconds = Infinity): Promise<void> {
    const endsAt = performance.now() + seconds * 1000;
    while (!(await holds())) {
      if (this.isOver) throw this.error(what);
      if (performance.now() >= endsAt) throw new Error(`waited too long for ${what}`);
      await delay(POLL_MS);
    }
  }

  /** Returns the outcome of `work`. Rejects at the deadline. */
  async within<T>(what: () => string, work: Promise<T>): Promise<T> {
    let isDone = false;
    const overrun = async (): Promise<never> => {
      while (!isDone && !this.isOver) await delay(POLL_MS);
      throw this.error(what());
    };
    return Promise.race([work.finally(() => (isDone = true)), overrun()]);
  }

  private get hangs(): boolean {
    return performance.now() - this.progressedAt() >= this.stallSeconds * 1000;
  }
}
