import { BLOCK_BYTES, type BufferBudget } from './buffer-budget.js';

/** One for all bodies: a new error has a stack. */
const RELEASED = new Error('the bytes were released');

/** The end of a client's body. */
export interface BodyEnd {
  /** Set if the client disconnected, or was too slow. */
  readonly error: Error | undefined;
}

/**
 * The bytes of an upload that may have to be sent again: from the first one that is not durable.
 *
 *     body     ───────────┼───────────────────────┼─ ─ ─ ─ ─
 *              forgotten  kept                    received
 *
 * `append` waits while there is no room, so that no more is taken from the client.
 */
export class KeptBytes {
  private readonly blocks: Buffer[] = [];
  /** The offset of the first byte of the first block. */
  private blocksStart: number;
  private keptFrom: number;
  private receivedTo: number;
  private bodyEnd: BodyEnd | undefined;
  private readonly released = new AbortController();
  private wakeReader: () => void = () => undefined;
  private wakeWriter: () => void = () => undefined;

  /**
   * @param start the offset of the body's first byte.
   * @param maxBytes the most that is kept at once, however much memory is free.
   */
  constructor(
    private readonly budget: BufferBudget,
    start: number,
    private readonly maxBytes: number,
  ) {
    this.blocksStart = this.keptFrom = this.receivedTo = start;
    budget.join();
  }

  /** The offset behind the last byte that the client has sent. */
  get received(): number {
    return this.receivedTo;
  }

  /** The end of the body, if it was reached. */
  get end(): BodyEnd | undefined {
    return this.bodyEnd;
  }

  /**
   * Takes the memory for a body of at most `bytes`, which is then received without waiting. Call it before
   * `append`.
   */
  async reserve(bytes: number): Promise<void> {
    await this.take(Math.ceil(bytes / BLOCK_BYTES));
  }

  /** Whether `append` waits until some of the bytes are forgotten. */
  get isFull(): boolean {
    const max = Math.min(this.budget.shareBlocks, Math.ceil(this.maxBytes / BLOCK_BYTES));
    return this.blocks.length >= max;
  }

  /** Copies bytes; waits for room. Bytes before the offset of the last `forget` are dropped. */
  async append(bytes: Uint8Array): Promise<void> {
    let rest = bytes.subarray(this.drop(bytes.length));
    while (rest.length > 0 && !this.released.signal.aborted) {
      const room = this.room();
      if (room === undefined) {
        await this.addBlock();
        // The bytes may have become unnecessary meanwhile.
        rest = rest.subarray(this.drop(rest.length));
        continue;
      }
      const part = rest.subarray(0, room.length);
      room.set(part);
      this.receivedTo += part.length;
      rest = rest.subarray(part.length);
      this.wakeReader();
    }
  }

  /** Returns how many of the next bytes are not kept. */
  private drop(length: number): number {
    const count = Math.min(length, Math.max(0, this.keptFrom - this.receivedTo));
    if (count === 0) return 0;
    this.receivedTo += count;
    // A block that came for these bytes: it would be the block of a wrong place.
    this.budget.giveBack(this.blocks.splice(0));
    this.wakeReader();
    return count;
  }

  /** Where the next byte goes, up to the end of its block. */
  private room(): Buffer | undefined {
    const used = this.receivedTo - this.blocksStart;
    return this.blocks[Math.floor(used / BLOCK_BYTES)]?.subarray(used % BLOCK_BYTES);
  }

  private async addBlock(): Promise<void> {
    if (this.isFull) {
      await new Promise<void>((resolve) => (this.wakeWriter = resolve));
      return;
    }
    await this.take(1);
  }

  private async take(count: number): Promise<void> {
    const { signal } = this.released;
    const blocks = await this.budget.take(count, signal);
    // They may have been given just before this was released.
    if (signal.aborted) return this.budget.giveBack(blocks);
    if (this.blocks.length === 0) this.blocksStart = this.receivedTo;
    this.blocks.push(...blocks);
  }

  /** Ends the body. */
  finish(error?: Error): void {
    this.bodyEnd ??= { error };
    this.wakeReader();
  }

  /**
   * Returns the bytes from `offset` on that have been received, waiting for some; none at the end of the
   * body, or when the signal aborts. They are valid until `forget` is called with a later offset.
   */
  async after(offset: number, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    while (offset >= this.receivedTo && this.bodyEnd === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.wakeReader = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    return signal.aborted ? [] : this.between(offset, this.receivedTo);
  }

  /** Returns all bytes, when the body has ended. Call it only if all of it is kept. */
  async whole(): Promise<readonly Uint8Array[]> {
    while (this.bodyEnd === undefined) await this.after(this.receivedTo, this.released.signal);
    return this.between(this.keptFrom, this.receivedTo);
  }

  private between(start: number, end: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (let at = start; at < end; at += parts.at(-1)?.length ?? 0) {
      const used = at - this.blocksStart;
      const block = used < 0 ? undefined : this.blocks[Math.floor(used / BLOCK_BYTES)];
      if (block === undefined) throw new Error(`byte ${at} of the body is not kept`);
      const from = used % BLOCK_BYTES;
      parts.push(block.subarray(from, from + end - at));
    }
    return parts;
  }

  /** Keeps nothing before `offset`, also of bytes that are still to come. */
  forget(offset: number): void {
    if (offset <= this.keptFrom) return;
    this.keptFrom = offset;
    const isAll = offset >= this.receivedTo;
    const count = isAll ? this.blocks.length : Math.floor((offset - this.blocksStart) / BLOCK_BYTES);
    if (count === 0) return;
    this.budget.giveBack(this.blocks.splice(0, count));
    this.blocksStart = isAll ? this.receivedTo : this.blocksStart + count * BLOCK_BYTES;
    this.wakeWriter();
  }

  /** Frees the memory, when nothing reads the bytes any more. Idempotent. */
  release(): void {
    if (this.released.signal.aborted) return;
    this.released.abort(RELEASED);
    this.budget.giveBack(this.blocks.splice(0));
    this.budget.leave();
    this.wakeWriter();
    this.wakeReader();
  }
}
