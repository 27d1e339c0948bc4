import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AccessLog } from '../../observability/access-log.js';
import { countRefusal } from '../../observability/metrics/limit.metrics.js';
import type { RequestRecord } from '../../observability/logged-request.js';
import type { PendingResponses } from './pending-responses.js';

/** The input, as far as the parser got it. */
type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: Uint8Array };

/** Enough for the 1,024 ranges that podman requests at once. Node's default, half of it, is not. */
export const MAX_HEADER_BYTES = 32 * 1024;

/** Time to read the response before the connection is closed. */
const LINGER_MS = 5_000;

/**
 * Responds to input that Node's parser refuses, which never becomes a request: with an error of the spec,
 * then the connection is closed. Responses to earlier requests on the connection are completed first. An
 * error in the middle of a layer would look like bytes of the layer.
 */
export function respondToClientErrors(server: Server, pending: PendingResponses, log: AccessLog): void {
  const refused = new WeakSet<Duplex>();

  /** Returns the response. Logs it, in the line of the request if it is about a request's body. */
  function refuse(socket: Duplex, error: ClientError, broken: ServerResponse | undefined): string {
    if (error.code === 'HPE_HEADER_OVERFLOW') countRefusal('headers');
    const [text, message] = describe(error);
    const status = parseInt(text, 10);
    const { id, line } = (broken?.req ?? {}) as Partial<RequestRecord>;
    // Otherwise the client has disconnected, and is most likely not there to read this.
    if (error.code !== 'HPE_INVALID_EOF_STATE') line?.add({ status, errorCode: 'UNSUPPORTED' });
    return refusal(text, message, id ?? log.refused(socket, status, message));
  }

  server.on('clientError', (error: ClientError, socket: Duplex) => {
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
      socket.end(broken?.headersSent === true ? undefined : refuse(socket, error, broken));
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    });
  });
}

function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('close', resolve));
}

function refusal(status: string, message: string, requestId: string): string {
  const body = JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message }] });
  return (
    `HTTP/1.1 ${status}\r\nX-Request-Id: ${requestId}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n` +
    `Docker-Distribution-API-Version: registry/2.0\r\nConnection: close\r\n\r\n${body}`
  );
}

/** Clients that may use plain HTTP try TLS first. A TLS record of a handshake begins with this byte. */
function isTls(packet: Uint8Array | undefined): boolean {
  return packet?.[0] === 0x16;
}

function describe({ code, rawPacket }: ClientError): [string, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        '431 Request Header Fields Too Large',
        `the request line and headers are larger than the limit of ${MAX_HEADER_BYTES} bytes`,
      ];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'the request headers did not arrive in time'];
    default:
      return ['400 Bad Request', isTls(rawPacket) ? 'this port has no TLS' : 'malformed HTTP request'];
  }
}
