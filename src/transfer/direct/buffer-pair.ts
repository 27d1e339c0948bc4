/**
 * Two buffers: bytes are received into one while a reader works on what came before. A piece is contiguous,
 * and is the reader's until it takes the next one.
 *
 *     filling  [taken|unread──|room────]
 *     other    [unread, or the reader's, or free]
 */
export class BufferPair {
  private filling = 0;
  /** In the filling buffer: where unread bytes begin and end. */
  private start = 0;
  private end = 0;
  /** The unread bytes of the other buffer, which came first. */
  private waiting: Buffer | undefined;
  /** The index of the buffer that the reader has a piece of. */
  private held: number | undefined;

  constructor(private readonly buffers: readonly [Buffer, Buffer]) {}

  /**
   * Where the next bytes go, contiguous. If the reader has to take a piece first, `isFree` is false, and
   * `bytes` is where they go then.
   */
  nextRoom(): { readonly bytes: Buffer; readonly isFree: boolean } {
    if (this.held !== this.filling && this.start === this.end) this.start = this.end = 0;
    const current = this.at(this.filling);
    if (this.end < current.length) return { bytes: current.subarray(this.end), isFree: true };
    const other = 1 - this.filling;
    const isFree = this.waiting === undefined && this.held !== other;
    if (isFree) this.turnTo(other);
    return { bytes: this.at(other), isFree };
  }

  /** Adds bytes that were received at the beginning of `room`. */
  added(bytes: number): void {
    this.end += bytes;
  }

  /** Ends the reader's use of the last piece, and returns the next one. */
  take(): Buffer | undefined {
    this.held = undefined;
    const { waiting } = this;
    if (waiting !== undefined) {
      this.waiting = undefined;
      this.held = 1 - this.filling;
      return waiting;
    }
    if (this.start === this.end) return undefined;
    const piece = this.at(this.filling).subarray(this.start, this.end);
    this.start = this.end;
    this.held = this.filling;
    return piece;
  }

  private turnTo(other: number): void {
    if (this.start < this.end) this.waiting = this.at(this.filling).subarray(this.start, this.end);
    this.filling = other;
    this.start = this.end = 0;
  }

  private at(index: number): Buffer {
    return index === 0 ? this.buffers[0] : this.buffers[1];
  }
}
