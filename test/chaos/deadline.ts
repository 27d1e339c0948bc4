import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/** The time of a run was over before its work was. */
export class TimeIsOverError extends Error {
  constructor(waitsFor: string) {
    super(`the time is over: ${waitsFor}`);
  }
}

/** The end of a run's time. Whoever waits says for what, so that a run that hangs says it too. */
export class Deadline {
  private readonly beganAt = performance.now();
  private readonly endsAt: number;

  constructor(seconds: number) {
    this.endsAt = this.beganAt + seconds * 1000;
  }

  /** From 0 to 1, and beyond. */
  get usedPart(): number {
    return (performance.now() - this.beganAt) / (this.endsAt - this.beganAt);
  }

  get isOver(): boolean {
    return performance.now() >= this.endsAt;
  }

  /** Waits until `holds`, no longer than `seconds` and never past the end. */
  async until(what: string, holds: () => boolean | Promise<boolean>, seconds = Infinity): Promise<void> {
    const giveUpAt = Math.min(this.endsAt, performance.now() + seconds * 1000);
    while (!(await holds())) {
      if (performance.now() >= giveUpAt) throw new Error(`waited too long for ${what}`);
      await delay(POLL_MS);
    }
  }

  /** The outcome of `work`, or an error at the end of time. */
  async within<T>(what: () => string, work: Promise<T>): Promise<T> {
    const over = new AbortController();
    const late = delay(Math.max(this.endsAt - performance.now(), 0), undefined, { signal: over.signal }).then(
      () => {
        throw new TimeIsOverError(what());
      },
    );
    return Promise.race([work, late]).finally(() => over.abort());
  }
}
