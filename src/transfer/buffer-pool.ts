/** Larger buffers are not faster (measured from 64 KiB to 1 MiB). */
const LARGE_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;

/** Two for each of 32 uploads and 24 downloads: 56 MiB. */
const MAX_LARGE = 112;

/**
 * Reusable buffers for bytes in and out: allocating a buffer of this size costs more than filling it. The
 * pool keeps at most `maxLarge` large buffers. When all of them are in use, for example by slow clients,
 * callers get small ones that are not pooled. So the memory is bounded by the large buffers and 64 KiB for
 * each further one.
 */
export class BufferPool {
  private readonly free: Buffer[] = [];
  /** Each acquired buffer, with the large buffer that it is a part of. */
  private readonly acquired = new Map<Buffer, Buffer>();

  constructor(private readonly maxLarge = MAX_LARGE) {}

  /** The number of large buffers that were acquired and neither released nor discarded. */
  get largeInUse(): number {
    return this.acquired.size;
  }

  /** Returns a buffer of `wantedBytes`, but at most 512 KiB. Release it when nothing reads it any more. */
  acquire(wantedBytes: number): Buffer {
    if (wantedBytes <= SMALL_BYTES || this.acquired.size >= this.maxLarge) {
      return this.acquireSmall(wantedBytes);
    }
    const whole = this.free.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
    const buffer = whole.subarray(0, wantedBytes);
    this.acquired.set(buffer, whole);
    return buffer;
  }

  /** Returns a buffer of at most 64 KiB, which is not pooled. */
  acquireSmall(wantedBytes: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(wantedBytes, SMALL_BYTES));
  }

  release(buffer: Buffer): void {
    const whole = this.acquired.get(buffer);
    if (whole !== undefined) this.free.push(whole);
    this.acquired.delete(buffer);
  }

  /** Removes a buffer that something may still read from the pool. Releasing it later has no effect. */
  discard(buffer: Buffer): void {
    this.acquired.delete(buffer);
  }
}
