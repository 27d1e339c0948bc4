import type { IncomingMessage, ServerResponse } from 'node:http';

export interface PassOnOptions {
  /** Called with the length of each part. */
  readonly onBytes: (bytes: number) => void;
  /** Called when the client has to read before more is sent, and when it has. */
  readonly onBlocked: (isBlocked: boolean) => void;
}

/**
 * Writes the body of an answer to a client's response, which it does not end.
 *
 * @returns whether the body was complete. False also if the client has disconnected.
 */
export function passOn(
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
