/** What a buffer is for. Each use has its own limits, so that slow downloads take no buffer from uploads. */
export type BufferUse = 'receive' | 'send';

/** A size of pooled buffers, and how many of them each use may have at once. */
export interface BufferSize {
  readonly bytes: number;
  readonly max: Readonly<Record<BufferUse, number>>;
}

const SMALL_BYTES = 64 * 1024;

/**
 * In all 28 MiB for 32 uploads, two buffers each: large ones for the first four of them, smaller ones for the
 * others. And 24 MiB for 24 downloads. A piece of an upload costs two calls on other threads, so larger
 * buffers make uploads faster (measured). Downloads gain nothing beyond 512 KiB.
 */
const SIZES: readonly BufferSize[] = [
  { bytes: 1024 * 1024, max: { receive: 8, send: 0 } },
  { bytes: 512 * 1024, max: { receive: 24, send: 48 } },
  { bytes: 256 * 1024, max: { receive: 32, send: 0 } },
];

/** A buffer in use. */
interface Acquired {
  /** The pooled buffer that it is a part of. */
  readonly whole: Buffer;
  readonly shelf: Shelf;
  readonly use: BufferUse;
}

/** The buffers of one size. */
class Shelf {
  private readonly free: Buffer[] = [];
  private readonly inUse: Record<BufferUse, number> = { receive: 0, send: 0 };

  constructor(readonly size: BufferSize) {}

  take(use: BufferUse): Buffer | undefined {
    if (this.inUse[use] >= this.size.max[use]) return undefined;
    this.inUse[use] += 1;
    return this.free.pop() ?? Buffer.from(new SharedArrayBuffer(this.size.bytes));
  }

  /** @param whole undefined if it can't be used again. */
  putBack(use: BufferUse, whole: Buffer | undefined): void {
    this.inUse[use] -= 1;
    if (whole !== undefined) this.free.push(whole);
  }
}

/**
 * Reusable buffers for bytes in and out: allocating a buffer of this size costs more than filling it. Threads
 * that write files share their memory. The
 * pool has a limited number of buffers of each size. When all of them are in use, for example by slow
 * clients, callers get smaller ones, and at last small ones that are not pooled. So the memory is bounded by
 * the pooled buffers and 64 KiB for each further one.
 */
export class BufferPool {
  private readonly shelves: readonly Shelf[];
  private readonly acquired = new Map<Buffer, Acquired>();

  /** @param sizes from large to small. */
  constructor(sizes: readonly BufferSize[] = SIZES) {
    this.shelves = sizes.map((size) => new Shelf(size));
  }

  /** The number of pooled buffers that were acquired and neither released nor discarded. */
  get pooledInUse(): number {
    return this.acquired.size;
  }

  /** Returns a buffer of at most `wantedBytes`. Release it when nothing reads it any more. */
  acquire(use: BufferUse, wantedBytes: number): Buffer {
    for (const [index, shelf] of this.shelves.entries()) {
      const nextBytes = this.shelves[index + 1]?.size.bytes ?? SMALL_BYTES;
      const whole = wantedBytes > nextBytes ? shelf.take(use) : undefined;
      if (whole === undefined) continue;
      const buffer = whole.subarray(0, wantedBytes);
      this.acquired.set(buffer, { whole, shelf, use });
      return buffer;
    }
    return this.acquireSmall(wantedBytes);
  }

  /** Returns a buffer of at most 64 KiB, which is not pooled. */
  acquireSmall(wantedBytes: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(wantedBytes, SMALL_BYTES));
  }

  release(buffer: Buffer): void {
    this.remove(buffer, true);
  }

  /** Removes a buffer that something may still read from the pool. Releasing it later has no effect. */
  discard(buffer: Buffer): void {
    this.remove(buffer, false);
  }

  private remove(buffer: Buffer, isReusable: boolean): void {
    const entry = this.acquired.get(buffer);
    if (entry === undefined) return;
    this.acquired.delete(buffer);
    entry.shelf.putBack(entry.use, isReusable ? entry.whole : undefined);
  }
}
