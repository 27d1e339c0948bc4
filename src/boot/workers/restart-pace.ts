/** A worker that served this long was healthy: its successor starts at once. */
const HEALTHY_AFTER_MS = 10_000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 30_000;

/**
 * Backoff for replacing workers: none at first, then exponential while workers end soon after their start.
 */
export class RestartPace {
  private earlyEnds = 0;

  /** Returns the pause before the next start. @param servedMs how long the worker served; 0: never. */
  pauseAfter(servedMs: number): number {
    this.earlyEnds = servedMs >= HEALTHY_AFTER_MS ? 0 : this.earlyEnds + 1;
    if (this.earlyEnds <= 1) return 0;
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.earlyEnds - 2), MAX_PAUSE_MS);
  }
}
