import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BufferPool } from '../../transfer/buffer-pool.js';
import { type ByteReader, divert } from '../replicas/divertible-connection.js';
import type { PassOnOptions } from './pass-on.js';

/**
 * The rest of an answer's body, which is read from its connection into two large buffers in turn, and written
 * to the client from there.
 *
 *     read    [a][b]   [a]   [b]
 *     write   [a──][b──]  [a──]
 */
export class LargeBody implements ByteReader {
  private readonly buffers: readonly [Buffer, Buffer];
  /** Which of them the client's connection still reads. */
  private readonly isBusy: [boolean, boolean] = [false, false];
  private filling: 0 | 1 = 0;
  private isPaused = false;
  private settle: (isComplete: boolean) => void = () => undefined;

  private constructor(
    private readonly message: IncomingMessage,
    private readonly response: ServerResponse,
    private remaining: number,
    private readonly pool: BufferPool,
    private readonly options: PassOnOptions,
  ) {
    const acquire = () => pool.acquire('send', remaining);
    this.buffers = [acquire(), acquire()];
  }

  /**
   * Passes on the rest of a body.
   *
   * @param remaining the bytes that have not been read from the message yet.
   * @returns whether all of them were sent; undefined if they can't be read this way.
   */
  static passOn(
    message: IncomingMessage,
    response: ServerResponse,
    remaining: number,
    pool: BufferPool,
    options: PassOnOptions,
  ): Promise<boolean> | undefined {
    const body = new LargeBody(message, response, remaining, pool, options);
    if (!divert(message.socket, body)) {
      body.release();
      return undefined;
    }
    return body.run();
  }

  private async run(): Promise<boolean> {
    const { message, response } = this;
    const stop = () => this.settle(false);
    try {
      return await new Promise<boolean>((settle) => {
        this.settle = settle;
        message.once('close', stop);
        response.once('close', stop);
        message.socket.resume();
      });
    } finally {
      response.removeListener('close', stop);
      // The HTTP client has not seen the bytes, so the connection can't be used again.
      message.removeListener('close', stop).destroy();
      this.release();
    }
  }

  nextBuffer(): Uint8Array {
    const buffer = this.buffers[this.filling];
    return this.remaining > 0 ? buffer.subarray(0, this.remaining) : buffer;
  }

  received(bytes: Uint8Array): boolean {
    const { filling, buffers, isBusy, response } = this;
    const buffer = buffers[filling];
    if (bytes.length > this.remaining) {
      this.settle(false);
      return false;
    }
    // The first bytes were read into another one.
    if (bytes.buffer !== buffer.buffer) buffer.set(bytes);
    this.remaining -= bytes.length;
    this.options.onBytes(bytes.length);
    isBusy[filling] = true;
    const isLast = this.remaining === 0;
    response.write(buffer.subarray(0, bytes.length), (error) => this.onWritten(filling, error, isLast));
    this.filling = filling === 0 ? 1 : 0;
    this.isPaused = isLast || isBusy[this.filling];
    if (this.isPaused && !isLast) this.options.onBlocked(true);
    return !this.isPaused;
  }

  private onWritten(index: 0 | 1, error: Error | null | undefined, isLast: boolean): void {
    if (error !== null && error !== undefined) return this.settle(false);
    this.isBusy[index] = false;
    if (isLast) return this.settle(true);
    if (!this.isPaused || this.remaining === 0 || this.filling !== index) return;
    this.isPaused = false;
    this.options.onBlocked(false);
    this.message.socket.resume();
  }

  private release(): void {
    for (const [index, buffer] of this.buffers.entries()) {
      if (this.isBusy[index] === true) this.pool.discard(buffer);
      else this.pool.release(buffer);
    }
  }
}
