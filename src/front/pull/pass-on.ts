import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { BufferPool } from '../../transfer/buffer-pool.js';
import { LargeBody } from './large-body.js';

/** Smaller bodies gain nothing from large buffers, and leave their connection for the next request. */
const MIN_LARGE_BYTES = 512 * 1024;

export interface PassOnOptions {
  /** Called with the length of each part. */
  readonly onBytes: (bytes: number) => void;
  /** Called when the client has to read before more is sent, and when it has. */
  readonly onBlocked: (isBlocked: boolean) => void;
}

/**
 * Writes the body of an answer to a client's response, which it does not end.
 *
 * @param lengthBytes the length of the body.
 * @returns whether the body was complete. False also if the client has disconnected.
 */
export async function passOn(
  message: IncomingMessage,
  response: ServerResponse,
  lengthBytes: number,
  pool: BufferPool,
  options: PassOnOptions,
): Promise<boolean> {
  // The head is emitted in the middle of the parser's work.
  await turn();
  const remaining = lengthBytes - passOnBuffered(message, response, options);
  const isGone = message.destroyed || response.destroyed;
  if (isGone) message.destroy();
  if (isGone && remaining > 0) return false;
  const isLarge = remaining >= MIN_LARGE_BYTES;
  const sending = isLarge ? LargeBody.passOn(message, response, remaining, pool, options) : undefined;
  return sending ?? passOnStream(message, response, options);
}

/** Passes on what Node has read already. Returns the number of bytes. */
function passOnBuffered(
  message: IncomingMessage,
  response: ServerResponse,
  { onBytes }: PassOnOptions,
): number {
  const { socket } = message;
  let bytes = 0;
  for (;;) {
    const part = message.read() as Buffer | null;
    if (part === null) {
      // What the connection has read goes to the parser, and from there to the message.
      if (message.destroyed || socket.readableLength === 0 || socket.read() === null) return bytes;
      continue;
    }
    bytes += part.length;
    onBytes(part.length);
    response.write(part);
  }
}

function passOnStream(
  message: IncomingMessage,
  response: ServerResponse,
  { onBytes, onBlocked }: PassOnOptions,
): Promise<boolean> {
  return new Promise((resolve) => {
    const resume = () => {
      onBlocked(false);
      message.resume();
    };
    const stop = () => {
      response.removeListener('drain', resume).removeListener('close', giveUp);
      resolve(message.complete);
    };
    const giveUp = () => message.destroy();
    if (message.closed) return resolve(message.complete);
    response.on('drain', resume).once('close', giveUp);
    message.on('data', (part: Buffer) => {
      onBytes(part.length);
      if (response.write(part)) return;
      onBlocked(true);
      message.pause();
    });
    message.once('close', stop);
  });
}
