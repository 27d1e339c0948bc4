import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import type { BufferPool } from '../buffer-pool.js';
import { type BodyContent, SizedContent } from './body-content.js';
import { BufferPair } from './buffer-pair.js';
import { ChunkedContent } from './chunked-content.js';
import { DirectConnection, type DirectReader } from './direct-connection.js';
import type { DuplicateDescriptor } from './duplicate-descriptor.js';

/** Smaller bodies gain nothing. */
export const MIN_DIRECT_BYTES = 256 * 1024;

/** A request that counts the bytes of its body, for the log. */
type CountingRequest = IncomingMessage & { bytesReceived?: number };

/**
 * A request body that is read from its connection into large buffers, in large pieces (see
 * {@link DirectConnection}). Promises the same as `GatheredBody`: a piece is valid until the reader asks for
 * the next one; bytes received before a failure are read first; ending early leaves the rest to Node.
 */
export class DirectBody implements AsyncIterableIterator<Uint8Array>, DirectReader {
  private readonly pieces: BufferPair;
  private readonly content: BodyContent;
  /** Where the bytes of the next read go. */
  private target: Buffer;
  private isPaused = false;
  private outcome: { readonly error: Error | undefined } | undefined;
  private isReleased = false;
  private wake: () => void = () => undefined;
  private readonly stopWatching: () => void;

  /**
   * Returns undefined if the connection can't be read directly, or if no large buffers are free. Also if Node
   * has more of the body than fits into one: so it is if the body came right behind another one. Call it in a
   * later turn than the request's event: Node emits that before its parser gives out the body's beginning.
   *
   * @param lengthBytes the length of the body; `Infinity` if it is chunked.
   */
  static open(
    request: IncomingMessage,
    lengthBytes: number,
    buffers: BufferPool,
    duplicate: DuplicateDescriptor,
  ): DirectBody | undefined {
    const acquire = (): Buffer => buffers.acquire('receive', lengthBytes);
    const pair = [acquire(), acquire()] as const;
    const release = () => pair.forEach((buffer) => buffers.release(buffer));
    const neededBytes = Math.max(MIN_DIRECT_BYTES, request.readableLength);
    const isLarge = pair.every(({ length }) => length >= neededBytes);
    const connection = isLarge ? DirectConnection.open(request, duplicate) : undefined;
    if (connection !== undefined) return new DirectBody(request, connection, lengthBytes, pair, release);
    release();
    return undefined;
  }

  private constructor(
    private readonly request: CountingRequest,
    private readonly connection: DirectConnection,
    lengthBytes: number,
    pair: readonly [Buffer, Buffer],
    private readonly releaseBuffers: () => void,
  ) {
    this.pieces = new BufferPair(pair);
    this.stopWatching = finished(request, { writable: false }, (error) => {
      this.outcome = { error: error ?? undefined };
      this.wake();
    });
    const bufferedBytes = this.takeBuffered();
    const { parser } = connection;
    this.content =
      lengthBytes === Infinity
        ? new ChunkedContent(request, parser)
        : new SizedContent(parser, lengthBytes - bufferedBytes);
    this.target = this.nextBuffer();
    if (request.complete) connection.close();
    else connection.start(this);
  }

  /** Takes what Node has read of the body already. `open` has checked that it fits. */
  private takeBuffered(): number {
    let bytes = 0;
    for (;;) {
      const chunk = this.request.read() as Buffer | null;
      if (chunk === null) return bytes;
      this.pieces.nextRoom().bytes.set(chunk);
      this.pieces.added(chunk.length);
      bytes += chunk.length;
    }
  }

  nextBuffer(): Buffer {
    const { bytes, isFree } = this.pieces.nextRoom();
    this.isPaused = !isFree;
    this.target = bytes.subarray(0, this.content.maxReadBytes);
    return this.target;
  }

  received(bytes: number): boolean {
    const { contentBytes, end } = this.content.receive(this.target.subarray(0, bytes));
    this.pieces.added(contentBytes);
    if (this.request.bytesReceived !== undefined) this.request.bytesReceived += contentBytes;
    if (end !== undefined) this.connection.close(end.rest);
    this.wake();
    return end === undefined && this.pieces.nextRoom().isFree;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.isReleased) {
      const piece = this.pieces.take();
      if (this.isPaused && this.pieces.nextRoom().isFree) this.resume();
      if (piece !== undefined) return { done: false, value: piece };
      if (this.request.complete) break;
      if (this.outcome !== undefined) {
        this.release();
        throw this.outcome.error ?? new Error('the request was closed before its end');
      }
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    this.release();
    // Lets the stream reach its end, at which Node frees the request.
    if (this.request.complete) this.request.resume();
    return { done: true, value: undefined };
  }

  /** Call it only when nothing reads the last piece any more. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.release();
    return Promise.resolve({ done: true, value: undefined });
  }

  private resume(): void {
    this.isPaused = false;
    this.connection.resume();
  }

  private release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.stopWatching();
    this.connection.close();
    this.releaseBuffers();
    this.wake();
  }
}
