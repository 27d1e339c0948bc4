import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PendingResponses } from './pending-responses.js';

/** Time to read the response before the connection is closed. */
const LINGER_MS = 5_000;

/**
 * Responds to input that Node's parser refuses, which never becomes a request: with an error of the spec,
 * then the connection is closed. Responses to earlier requests on the connection are completed first. An
 * error in the middle of a layer would look like bytes of the layer.
 */
export function respondToClientErrors(server: Server, pending: PendingResponses): void {
  const refused = new WeakSet<Duplex>();

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    // The parser reports further errors for the rest of the input.
    if (refused.has(socket)) return;
    refused.add(socket);
    const responses = [...pending.of(socket)];
    const broken = responses.find(({ req }) => !req.complete);
    const before = responses.filter((response) => response !== broken);
    void Promise.all(before.map(closed)).then(() => {
      socket.end(broken?.headersSent === true ? undefined : refusal(error));
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    });
  });
}

function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('close', resolve));
}

function refusal(error: NodeJS.ErrnoException): string {
  const [status, message] = describe(error);
  const body = JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message }] });
  return (
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Docker-Distribution-API-Version: registry/2.0\r\nConnection: close\r\n\r\n${body}`
  );
}

function describe({ code }: NodeJS.ErrnoException): [string, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'the request line and headers are too long'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'the request headers did not arrive in time'];
    default:
      return ['400 Bad Request', 'malformed HTTP request'];
  }
}
