/**
 * Whether a client moves enough bytes, on average over a window of time. Only the time in which Berth waited
 * for the client counts, so a slow storage is never held against it.
 */
export class MinimumRate {
  private bytes = 0;
  private waitedMs = 0;

  /** @param bytesPerSecond 0 for no minimum. */
  constructor(
    readonly bytesPerSecond: number,
    readonly windowMs: number,
  ) {}

  /** Adds `bytes` that came after a wait. @returns false if a window is over that had too few. */
  allows(bytes: number, waitedMs: number): boolean {
    this.bytes += bytes;
    this.waitedMs += waitedMs;
    if (this.waitedMs < this.windowMs) return true;
    const isEnough = this.bytes * 1000 >= this.bytesPerSecond * this.waitedMs;
    this.bytes = 0;
    this.waitedMs = 0;
    return isEnough;
  }
}
