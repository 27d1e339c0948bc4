import { setTimeout as sleep } from 'node:timers/promises';

/** Limits how many objects are deleted per second. */
export class DeletionRate {
  private nextAt = 0;

  constructor(private readonly perSecond: number) {}

  /** Waits until `count` more may be deleted. Rejects if the signal aborts. */
  async wait(count: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const startAt = Math.max(now, this.nextAt);
    this.nextAt = startAt + (count / this.perSecond) * 1000;
    if (startAt > now) await sleep(startAt - now, undefined, { signal });
  }
}
