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
  private made = 0;

  constructor(private readonly mostLarge = 48) {}

  /** A buffer of at most 512 KiB, for `wanted` bytes or the first of them. To be given back, unless something may still read it. */
  take(wanted: number): Buffer {
    if (wanted <= SMALL_BYTES) return Buffer.allocUnsafeSlow(wanted);
    const free = this.free.pop();
    if (free !== undefined) return free;
    if (this.made >= this.mostLarge) return Buffer.allocUnsafeSlow(SMALL_BYTES);
    this.made += 1;
    return Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === LARGE_BYTES) this.free.push(buffer);
  }

  /** Forgets a buffer that something may still read. */
  abandon(buffer: Buffer): void {
    if (buffer.length === LARGE_BYTES) this.made -= 1;
  }
}
