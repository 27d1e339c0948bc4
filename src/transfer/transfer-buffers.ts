/** Larger ones gain nothing (measured from 64 KiB to 1 MiB). */
const LARGE_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;

/**
 * Buffers for bytes on their way out, used again and again: to make one of this size costs more than to fill it. At most
 * `mostLarge` are large, and kept; whoever comes when all of them are in use, behind readers that don't read for instance, gets
 * small ones. Memory is therefore bounded by a constant and 64 KiB for each buffer of a slow reader.
 */
export class TransferBuffers {
  private readonly free: Buffer[] = [];
  /** What was handed out, and the large buffer that it is all or the first part of. */
  private readonly lent = new Map<Buffer, Buffer>();

  constructor(private readonly mostLarge = 48) {}

  /** How many large buffers were taken and neither given back nor abandoned. */
  get largeInUse(): number {
    return this.lent.size;
  }

  /**
   * A buffer of at most 512 KiB, for `wantedBytes` or the first of them. To be given back, unless something may still read
   * it.
   */
  take(wantedBytes: number): Buffer {
    if (wantedBytes <= SMALL_BYTES || this.lent.size >= this.mostLarge) return this.takeSmall(wantedBytes);
    const whole = this.free.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
    const taken = whole.subarray(0, wantedBytes);
    this.lent.set(taken, whole);
    return taken;
  }

  /** A buffer of at most 64 KiB, which takes nothing from anybody. */
  takeSmall(wantedBytes: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(wantedBytes, SMALL_BYTES));
  }

  giveBack(taken: Buffer): void {
    const whole = this.lent.get(taken);
    if (whole !== undefined) this.free.push(whole);
    this.lent.delete(taken);
  }

  /** Forgets a buffer that something may still read; to give it back after that does nothing. */
  abandon(taken: Buffer): void {
    this.lent.delete(taken);
  }
}
