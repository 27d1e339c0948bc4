/** Bytes are kept in blocks of this size. It is small, so that many slow uploads take little memory. */
export const BLOCK_BYTES = 64 * 1024;

/** The least that an upload may keep, however many there are. */
const MIN_SHARE_BLOCKS = 4;

interface Waiting {
  readonly count: number;
  readonly resolve: (blocks: Buffer[]) => void;
}

/**
 * The memory for bytes that are not durable yet: `FRONT_BUFFER_BYTES` in all, in blocks that are used again.
 * When all of it is in use, requests wait for it in turn, and their clients with them.
 */
export class BufferBudget {
  private readonly maxBlocks: number;
  private readonly free: Buffer[] = [];
  private readonly queue: Waiting[] = [];
  private inUse = 0;
  private uploads = 0;

  constructor(totalBytes: number) {
    this.maxBlocks = Math.floor(totalBytes / BLOCK_BYTES);
  }

  /** The bytes that are in use. */
  get usedBytes(): number {
    return this.inUse * BLOCK_BYTES;
  }

  /** The bytes that may be in use. */
  get limitBytes(): number {
    return this.maxBlocks * BLOCK_BYTES;
  }

  /** How many uploads share the memory now. */
  get sharers(): number {
    return this.uploads;
  }

  /** How many blocks one upload may have. It shrinks while there are more uploads. */
  get shareBlocks(): number {
    return Math.max(MIN_SHARE_BLOCKS, Math.floor(this.maxBlocks / Math.max(1, this.uploads)));
  }

  /** Counts an upload that shares the memory until `leave`. */
  join(): void {
    this.uploads += 1;
  }

  leave(): void {
    this.uploads -= 1;
  }

  /**
   * Returns blocks, all at once; none if the signal aborts before. A caller that waits for more of them while
   * it has some, and can't give them back meanwhile, could wait forever.
   *
   * @param count at most 16 MiB.
   */
  async take(count: number, signal: AbortSignal): Promise<Buffer[]> {
    if (signal.aborted) return [];
    if (this.queue.length === 0 && this.hasFree(count)) return this.allocate(count);
    return new Promise((settle) => {
      const waiting: Waiting = {
        count,
        resolve: (blocks) => {
          signal.removeEventListener('abort', stop);
          settle(blocks);
        },
      };
      const stop = () => {
        this.queue.splice(this.queue.indexOf(waiting), 1);
        settle([]);
        this.serveQueue();
      };
      this.queue.push(waiting);
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  /** @param blocks that nothing reads any more. */
  giveBack(blocks: readonly Buffer[]): void {
    this.inUse -= blocks.length;
    this.free.push(...blocks);
    this.serveQueue();
  }

  private serveQueue(): void {
    for (let [next] = this.queue; next !== undefined && this.hasFree(next.count); [next] = this.queue) {
      this.queue.shift();
      next.resolve(this.allocate(next.count));
    }
  }

  private hasFree(count: number): boolean {
    return this.inUse + count <= this.maxBlocks;
  }

  private allocate(count: number): Buffer[] {
    this.inUse += count;
    return Array.from({ length: count }, () => this.free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES));
  }
}
