import type { IncomingMessage, ServerResponse } from 'node:http';
import { prefers } from '../transfer/preferences.js';

/**
 * Returns what tells the client of a request how many bytes of its upload are durable, before the response:
 * by interim responses `104` (draft-ietf-httpbis-resumable-upload). Undefined unless the client asked for
 * them with `Prefer: upload-progress`: common registry clients fail at interim responses.
 */
export function progressListener(
  request: IncomingMessage,
  response: ServerResponse,
): ((offsetBytes: number) => void) | undefined {
  // RFC 9110, section 15.2: HTTP/1.0 has no interim responses.
  if (request.httpVersion !== '1.1' || !prefers(request, 'upload-progress')) return undefined;
  return (offsetBytes) => sendProgress(response, offsetBytes);
}

/** Node has no method for it: `writeEarlyHints` and others are for other statuses. */
function sendProgress(response: ServerResponse, offsetBytes: number): void {
  // A response without a socket waits for an earlier one of its connection.
  const { headersSent, socket } = response;
  // If the client reads nothing, a later one tells the same and more.
  if (headersSent || socket === null || !socket.writable || socket.writableNeedDrain) return;
  socket.write(`HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: ${offsetBytes}\r\n\r\n`);
}
