import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Limits for reading the rest of a refused body, so that the client can read the response. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 5_000;

const ending = new WeakSet<Socket>();

/** Whether the connection closes after a response that was already sent. */
export function isEnding(socket: Socket): boolean {
  return ending.has(socket);
}

/**
 * Whether a part of the request's body may not have arrived. Node's `complete` alone does not tell: for a
 * request without a body it becomes true only after the request was emitted.
 */
export function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  return (
    !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
  );
}

/**
 * Ends a response to a request whose body may not be read completely. Some clients read no response while
 * they send, and closing at once would reset their connection. So the response is written, the rest of the
 * body is read and discarded within limits, and then the connection is closed.
 */
export function endAfterBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array | undefined,
): void {
  if (!hasUnreadBody(request) || request.destroyed) {
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
