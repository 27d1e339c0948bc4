/**
 * Checks whether a client sends enough bytes, on average over a window of time. Only the time that Berth
 * waits for the client counts, so a slow storage does not make a client look slow.
 */
export class MinimumRate {
  private bytes = 0;
  private waitedMs = 0;

  /** @param bytesPerSecond 0 for no minimum. */
  constructor(
    private readonly bytesPerSecond: number,
    private readonly windowMs: number,
  ) {}

  /** Adds `bytes` that came after a wait. Returns false at the end of a window with too few bytes. */
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
