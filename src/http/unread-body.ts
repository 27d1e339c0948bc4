import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How much of a refused body is read on, and for how long, so that its sender gets to read the answer. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 5_000;

const ending = new WeakSet<Socket>();

/** Whether the connection ends with an answer that was already given. */
export function isEnding(socket: Socket): boolean {
  return ending.has(socket);
}

/**
 * Sends the rest of an answer to a request whose body may not have been read to its end. The sender reads no answer
 * while it still sends, and closing at once would reset the connection under it: the answer is written, the body read
 * on and thrown away for a bounded while, and only then the connection ended.
 */
export function endAfterBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array | undefined,
): void {
  if (request.complete || request.destroyed) {
    response.end(body);
    return;
  }
  ending.add(request.socket);
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  let drained = 0;
  const timer = setTimeout(finish, DRAIN_MS);
  function finish() {
    clearTimeout(timer);
    request.removeListener('data', count);
    response.end();
  }
  function count(chunk: Uint8Array) {
    drained += chunk.length;
    if (drained > DRAIN_BYTES) finish();
  }
  request.on('data', count).once('end', finish).once('close', finish).once('error', finish).resume();
}
