import type { ServerResponse } from 'node:http';
import type { ByteSpan } from '../storage/storage-driver.js';
import type { OpenObject } from '../storage/opening-storage-driver.js';
import { TransferBuffers } from './transfer-buffers.js';

const buffers = new TransferBuffers();

/**
 * Sends a span of an object as the rest of a response's body, and ends it. The next bytes are read while the last ones are
 * sent, in two buffers that are used in turn, so that neither the disk nor the client waits for the other one.
 *
 *     read    [a][b]   [a]   [b]
 *     send       [a──] [b──] [a──]
 *
 * Settles as well when the client has gone; `object` is the caller's to close.
 *
 * @throws StorageError when the bytes can't be read; the response is not ended then.
 */
export async function sendObject(
  object: OpenObject,
  span: ByteSpan,
  response: ServerResponse,
): Promise<void> {
  let position = span.start;
  let sending: Promise<boolean> = Promise.resolve(true);
  try {
    while (position <= span.end) {
      const buffer = buffers.take(span.end + 1 - position);
      const chunk = buffer.subarray(0, Math.min(buffer.length, span.end + 1 - position));
      try {
        await object.read(chunk, position);
      } catch (error) {
        buffers.giveBack(buffer);
        throw error;
      }
      if (!(await sending)) {
        buffers.giveBack(buffer);
        return;
      }
      position += chunk.length;
      sending = send(response, chunk).then((isSent) => {
        if (isSent) buffers.giveBack(buffer);
        else buffers.abandon(buffer);
        return isSent;
      });
    }
    if (await sending) response.end();
  } finally {
    await sending;
  }
}

/** Settles when the kernel has the bytes, or it has become known that it never will. */
function send(response: ServerResponse, chunk: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = () => resolve(false);
    response.once('close', onClose);
    if (response.destroyed || response.closed) return resolve(false);
    response.write(chunk, (error) => {
      response.removeListener('close', onClose);
      resolve(error === null || error === undefined);
    });
  });
}
