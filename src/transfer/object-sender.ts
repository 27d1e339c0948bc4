import type { ServerResponse } from 'node:http';
import { settlesWithin } from '../common/settles-within.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { ByteSpan } from '../storage/storage-driver.js';
import type { TransferBuffers } from './transfer-buffers.js';

/** A client that takes longer than this for a buffer gains nothing from large ones. */
const PATIENCE_MS = 1_000;

/**
 * Sends spans of objects as bodies of responses. The next bytes are read while the last ones are sent, in two buffers that
 * are used in turn, so that neither the disk nor the client waits for the other one.
 *
 *     read    [a][b]   [a]   [b]
 *     send       [a──] [b──] [a──]
 *
 * A client that stops reading keeps the buffer that is being sent to it. The other one goes back to those who can use it,
 * and is filled again when the client goes on; from then on small ones do for it.
 */
export class ObjectSender {
  constructor(
    private readonly buffers: TransferBuffers,
    private readonly patienceMs = PATIENCE_MS,
  ) {}

  /**
   * Sends a span as the rest of a response's body, and ends it. Settles as well when the client has gone; `object` is the
   * caller's to close.
   *
   * @throws StorageError when the bytes can't be read; the response is not ended then.
   */
  async send(object: OpenObject, { start, end }: ByteSpan, response: ServerResponse): Promise<void> {
    let sending: Promise<boolean> = Promise.resolve(true);
    let isSlow = false;
    try {
      for (let position = start; position <= end && !response.destroyed;) {
        const chunk = await this.read(object, position, end + 1 - position, isSlow);
        if (!isSlow && !(await settlesWithin(sending, this.patienceMs))) {
          isSlow = true;
          this.buffers.giveBack(chunk);
          await sending;
        } else if (await sending) {
          position += chunk.length;
          sending = this.write(response, chunk);
        } else {
          this.buffers.giveBack(chunk);
          return;
        }
      }
      if ((await sending) && !response.destroyed) response.end();
    } finally {
      await sending;
    }
  }

  private async read(object: OpenObject, position: number, wanted: number, isSlow: boolean): Promise<Buffer> {
    const buffer = isSlow ? this.buffers.takeSmall(wanted) : this.buffers.take(wanted);
    try {
      await object.read(buffer, position);
      return buffer;
    } catch (error) {
      this.buffers.giveBack(buffer);
      throw error;
    }
  }

  /** Settles when the kernel has the bytes, or it has become known that it never will. */
  private write(response: ServerResponse, chunk: Buffer): Promise<boolean> {
    if (response.destroyed) {
      this.buffers.giveBack(chunk);
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      const fail = () => {
        // The kernel may be about to take them.
        this.buffers.abandon(chunk);
        resolve(false);
      };
      response.once('close', fail);
      response.write(chunk, (error) => {
        response.removeListener('close', fail);
        if (error !== null && error !== undefined) return fail();
        this.buffers.giveBack(chunk);
        resolve(true);
      });
    });
  }
}
