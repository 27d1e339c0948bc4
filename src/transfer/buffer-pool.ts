/** Larger buffers are not faster (measured from 64 KiB to 1 MiB). */
const LARGE_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;

/** What a buffer is for. Each use has its own limit, so that slow downloads take no buffer from uploads. */
export type BufferUse = 'receive' | 'send';

/** Two for each of 32 uploads (32 MiB) and 24 downloads (24 MiB). */
const MAX_LARGE: Readonly<Record<BufferUse, number>> = { receive: 64, send: 48 };

/**
 * Reusable buffers for bytes in and out: allocating a buffer of this size costs more than filling it. The
 * pool has at most `maxLarge` large buffers for each use. When all of them are in use, for example by slow
 * clients, callers get small ones that are not pooled. So the memory is bounded by the large buffers and 64
 * KiB for each further one.
 */
export class BufferPool {
  private readonly free: Buffer[] = [];
  /** Each acquired buffer, with the large buffer that it is a part of. */
  private readonly acquired = new Map<Buffer, { readonly whole: Buffer; readonly use: BufferUse }>();
  private readonly inUse: Record<BufferUse, number> = { receive: 0, send: 0 };

  constructor(private readonly maxLarge = MAX_LARGE) {}

  /** The number of large buffers that were acquired and neither released nor discarded. */
  get largeInUse(): number {
    return this.acquired.size;
  }

  /** Returns a buffer of `wantedBytes`, but at most 512 KiB. Release it when nothing reads it any more. */
  acquire(use: BufferUse, wantedBytes: number): Buffer {
    if (wantedBytes <= SMALL_BYTES || this.inUse[use] >= this.maxLarge[use]) {
      return this.acquireSmall(wantedBytes);
    }
    const whole = this.free.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
    const buffer = whole.subarray(0, wantedBytes);
    this.acquired.set(buffer, { whole, use });
    this.inUse[use] += 1;
    return buffer;
  }

  /** Returns a buffer of at most 64 KiB, which is not pooled. */
  acquireSmall(wantedBytes: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(wantedBytes, SMALL_BYTES));
  }

  release(buffer: Buffer): void {
    const whole = this.acquired.get(buffer)?.whole;
    this.discard(buffer);
    if (whole !== undefined) this.free.push(whole);
  }

  /** Removes a buffer that something may still read from the pool. Releasing it later has no effect. */
  discard(buffer: Buffer): void {
    const entry = this.acquired.get(buffer);
    if (entry === undefined) return;
    this.acquired.delete(buffer);
    this.inUse[entry.use] -= 1;
  }
}
