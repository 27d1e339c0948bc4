/** A worker that served for this long was well: its death says nothing of the next one. */
const WELL_AFTER_MS = 10_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;

/** When a worker that died is replaced: at once, and ever later when its successors die young. */
export class RestartPace {
  private youngDeaths = 0;

  /** @param servedMs how long the dead one had served; 0: it never did. Answers the pause before the next one. */
  pauseAfter(servedMs: number): number {
    this.youngDeaths = servedMs >= WELL_AFTER_MS ? 0 : this.youngDeaths + 1;
    if (this.youngDeaths <= 1) return 0;
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.youngDeaths - 2), LONGEST_PAUSE_MS);
  }
}
