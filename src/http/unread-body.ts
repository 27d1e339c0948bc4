import type { IncomingMessage, ServerResponse } from 'node:http';

/** How much of a refused body is read on, and for how long, so that its sender gets to read the answer. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_MS = 5_000;

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
