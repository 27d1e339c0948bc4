import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { LoggedRequest } from './logged-request.js';
import { failedHandshakes, malformedRequests } from './metrics/http.metrics.js';
import { RequestLine } from './request-line.js';

/** Ids of clients and proxies that are kept: UUIDs, hexadecimal, base64 and the like. */
const REQUEST_ID = /^[\w.:@+/=-]{1,128}$/;
const MAPPED_IPV4 = '::ffff:';

/**
 * Gives each request an id, a line in the log and a place in the metrics.
 *
 * Not pino-http: it creates two child loggers per request, which took a quarter of the time of a small GET.
 * The fields of the line are known and contain no secrets, so redaction is off.
 */
export class AccessLog {
  private readonly lines: Logger;

  /** @param routeOf the label of a request in the metrics. Default: the pattern of its handler's path. */
  constructor(
    logger: Logger,
    private readonly routeOf?: (request: LoggedRequest) => string,
  ) {
    this.lines = logger.child({}, { redact: { paths: [] } });
  }

  /** Call it when a request begins, before anything else handles it. */
  begin(incoming: IncomingMessage, response: ServerResponse): void {
    const request = incoming as LoggedRequest;
    request.id = requestIdOf(request);
    // Now: a closed socket has no remote address.
    request.clientAddress = clientAddressOf(request);
    response.setHeader('X-Request-Id', request.id);
    const line = new RequestLine(this.lines, request, response, this.routeOf);
    request.line = line;
    response.once('close', () => line.end());
  }

  /** Logs a response to input that never became a request. Returns its request id. */
  refused(socket: Duplex, status: number, reason: string): string {
    malformedRequests.inc();
    const requestId = randomUUID();
    const clientAddress = 'remoteAddress' in socket ? socket.remoteAddress : undefined;
    this.lines.info({ requestId, status, errorCode: 'UNSUPPORTED', clientAddress }, `refused: ${reason}`);
    return requestId;
  }

  /**
   * Logs a TLS handshake that failed, at `debug`: scanners and clients that don't trust the certificate yet
   * would fill the log. A connection that the client has reset has no address any more.
   */
  failedHandshake(socket: Duplex, { code }: NodeJS.ErrnoException): void {
    failedHandshakes.inc();
    const clientAddress = 'remoteAddress' in socket ? socket.remoteAddress : undefined;
    this.lines.debug({ clientAddress, errorCode: code }, 'a TLS handshake failed');
  }
}

/** The client's `X-Request-Id`, if it is safe to repeat, or a new one. */
function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/**
 * Express's `ip`: the last address in `X-Forwarded-For` that no trusted proxy has, or the connection's if it
 * isn't from a trusted proxy.
 */
function clientAddressOf({ ip, socket }: LoggedRequest): string | undefined {
  // The header may contain any text.
  const address = ip !== undefined && isIP(ip) !== 0 ? ip : socket.remoteAddress;
  return address?.startsWith(MAPPED_IPV4) === true ? address.slice(MAPPED_IPV4.length) : address;
}
