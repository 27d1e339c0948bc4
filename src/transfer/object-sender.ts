import type { ServerResponse } from 'node:http';
import { settlesWithin } from '../common/settles-within.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { ByteSpan } from '../storage/storage-driver.js';
import type { BufferPool } from './buffer-pool.js';

/** A client that takes longer than this for one buffer does not profit from large ones. */
const SLOW_AFTER_MS = 1_000;

/**
 * Sends spans of open objects as response bodies. It reads the next bytes while the last ones are sent, in
 * two buffers, so that the disk and the client do not wait for each other.
 *
 *     read    [a][b]   [a]   [b]
 *     send       [a──] [b──] [a──]
 *
 * A client that stops reading keeps only the buffer that is being sent to it. The other one is released, and
 * the rest of the response uses small buffers.
 */
export class ObjectSender {
  constructor(
    private readonly buffers: BufferPool,
    private readonly slowAfterMs = SLOW_AFTER_MS,
  ) {}

  /**
   * Sends a span as the rest of a response's body and ends the response. Also returns if the client
   * disconnects. The caller closes `object`.
   *
   * @throws StorageError if the bytes cannot be read; the response is not ended then.
   */
  async send(object: OpenObject, { start, end }: ByteSpan, response: ServerResponse): Promise<void> {
    let sending: Promise<boolean> = Promise.resolve(true);
    let isSlow = false;
    try {
      for (let position = start; position <= end && !response.destroyed;) {
        const chunk = await this.read(object, position, end + 1 - position, isSlow);
        if (!isSlow && !(await settlesWithin(sending, this.slowAfterMs))) {
          isSlow = true;
          this.buffers.release(chunk);
          await sending;
        } else if (await sending) {
          position += chunk.length;
          sending = this.write(response, chunk);
        } else {
          this.buffers.release(chunk);
          return;
        }
      }
      if ((await sending) && !response.destroyed) response.end();
    } finally {
      await sending;
    }
  }

  private async read(object: OpenObject, position: number, wanted: number, isSlow: boolean): Promise<Buffer> {
    const buffer = isSlow ? this.buffers.acquireSmall(wanted) : this.buffers.acquire('send', wanted);
    try {
      await object.read(buffer, position);
      return buffer;
    } catch (error) {
      this.buffers.release(buffer);
      throw error;
    }
  }

  /** Resolves to true when the kernel has the bytes, or to false if the connection failed. */
  private write(response: ServerResponse, chunk: Buffer): Promise<boolean> {
    if (response.destroyed) {
      this.buffers.release(chunk);
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      const fail = () => {
        // The kernel may still read the buffer.
        this.buffers.discard(chunk);
        resolve(false);
      };
      response.once('close', fail);
      response.write(chunk, (error) => {
        response.removeListener('close', fail);
        if (error !== null && error !== undefined) return fail();
        this.buffers.release(chunk);
        resolve(true);
      });
    });
  }
}
