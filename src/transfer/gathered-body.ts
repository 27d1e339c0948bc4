import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import type { BufferPool } from './buffer-pool.js';

/** The maximum size of a chunk: Node reads this much from a socket at once. */
const CHUNK_BYTES = 64 * 1024;

/**
 * A request body in a few large pieces instead of many small chunks. Chunks are copied into one of two
 * buffers while the reader works on the other one.
 *
 *     chunks   ▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪
 *     buffers  [a──────][b──────][a──────]
 *     reader            [a──────][b──────]
 *
 * The stream's own iterator would allocate a buffer for each piece. V8 counts this memory as heap growth and
 * collects garbage every eight megabytes, which took half of the time of a large push (3.4 s of CPU time for
 * 256 MiB; 1.4 s with this class).
 *
 * A piece is valid until the reader asks for the next one. If the connection fails, the bytes received before
 * are read first, then the error is thrown. Ending the iteration early does not destroy the request, so a
 * response can be sent.
 */
export class GatheredBody implements AsyncIterableIterator<Uint8Array> {
  private filling: Buffer;
  private filledBytes = 0;
  /** The reader's buffer, or unused. */
  private other: Buffer;
  /** The rest of a chunk that did not fit into the buffer. */
  private rest: Buffer | undefined;
  private outcome: { readonly error: Error | undefined } | undefined;
  private isReleased = false;
  private wake: () => void = () => undefined;
  private readonly stopWatching: () => void;

  /** @param lengthBytes the length of the body; `Infinity` if unknown. */
  constructor(
    private readonly request: IncomingMessage,
    lengthBytes: number,
    private readonly buffers: BufferPool,
  ) {
    this.filling = buffers.acquire('receive', lengthBytes);
    this.other = buffers.acquire('receive', lengthBytes);
    this.stopWatching = finished(request, { writable: false }, (error) => {
      this.outcome = { error: error ?? undefined };
      this.wake();
    });
    // The stream's own iterator would allocate: see above.
    request.on('data', this.onChunk);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (this.filledBytes === 0 && this.outcome === undefined && !this.isReleased) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if (this.isReleased) return { done: true, value: undefined };
    if (this.filledBytes > 0) return { done: false, value: this.takePiece() };
    this.release();
    if (this.outcome?.error !== undefined) throw this.outcome.error;
    return { done: true, value: undefined };
  }

  /** Call it only when nothing reads the last piece any more. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.release();
    return Promise.resolve({ done: true, value: undefined });
  }

  private readonly onChunk = (chunk: Buffer) => {
    const copied = chunk.copy(this.filling, this.filledBytes);
    this.filledBytes += copied;
    if (copied < chunk.length) this.rest = chunk.subarray(copied);
    // Pause before a chunk has to be split. A small buffer still takes more than one chunk.
    const room = this.filling.length - this.filledBytes;
    if (room < Math.min(CHUNK_BYTES, this.filling.length / 4)) this.request.pause();
    this.wake();
  };

  private takePiece(): Buffer {
    const piece = this.filling.subarray(0, this.filledBytes);
    [this.filling, this.other] = [this.other, this.filling];
    this.filledBytes = 0;
    const { rest } = this;
    this.rest = undefined;
    if (rest !== undefined) this.onChunk(rest);
    else if (this.request.isPaused()) this.request.resume();
    return piece;
  }

  private release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.stopWatching();
    this.request.removeListener('data', this.onChunk).pause();
    this.buffers.release(this.filling);
    this.buffers.release(this.other);
    this.wake();
  }
}
