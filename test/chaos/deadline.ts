import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/** The run took too long, or nothing in it made progress. */
export class TimeIsOverError extends Error {
  constructor(
    waitsFor: string,
    /** Nothing made progress. Otherwise the machine was only slow. */
    readonly hangs: boolean,
  ) {
    super(`${hangs ? 'no progress' : 'the time is over'}: ${waitsFor}`);
  }
}

/** Ends a run that hangs. The work of a run is bounded by counts; these times only catch hangs. */
export class Deadline {
  private readonly startedAt = performance.now();

  /**
   * @param totalSeconds after which a run that still makes progress ends as too slow to tell
   * @param stallSeconds without progress, after which a run has failed
   */
  constructor(
    private readonly totalSeconds: number,
    private readonly stallSeconds: number,
    private readonly progressedAt: () => number,
  ) {}

  get isOver(): boolean {
    return this.hangs || performance.now() - this.startedAt >= this.totalSeconds * 1000;
  }

  error(waitsFor: string): TimeIsOverError {
    return new TimeIsOverError(waitsFor, this.hangs);
  }

  /** Waits until `holds`. Rejects after `seconds` or at the end of the run. */
  async until(what: string, holds: () => boolean | Promise<boolean>, seconds = Infinity): Promise<void> {
    const endsAt = performance.now() + seconds * 1000;
    while (!(await holds())) {
      if (this.isOver) throw this.error(what);
      if (performance.now() >= endsAt) throw new Error(`waited too long for ${what}`);
      await delay(POLL_MS);
    }
  }

  /** Returns the outcome of `work`. Rejects when the run is over before it. */
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
