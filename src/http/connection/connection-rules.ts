import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AccessLog } from '../../observability/access-log.js';
import { countRefusal } from '../../observability/metrics/limit.metrics.js';
import type { PendingResponses } from './pending-responses.js';
import { refuse } from './refuse.js';
import { isAuthority, isSecure, resolveTarget } from './request-target.js';
import { isEnding } from './unread-body.js';

/**
 * Maximum number of requests on a connection without a complete response. Node emits all pipelined requests
 * at once, and each may request megabytes, so one small write could block every other client. Registry
 * clients do not pipeline.
 */
const MAX_PIPELINED_REQUESTS = 8;

/** Clients send about ten, and a proxy adds a few. */
export const MAX_HEADERS = 100;

/**
 * Headers that decide the destination and the sender of a request. Node keeps the first of several; a proxy
 * may keep the last.
 */
const SINGLE_HEADERS = ['host', 'authorization'] as const;

export interface ConnectionRules {
  readonly pending: PendingResponses;
  readonly log: AccessLog;
  /** Whether requests without TLS are refused. */
  readonly requiresTls: boolean;
}

/**
 * Applies the rules of RFC 9112 that Node does not, before the application gets a request. The requests of a
 * connection are handled in sequence: the next one starts when the response to the last one has closed
 * (section 9.3.2). Every response is in `pending` until it closes, also those that are never sent.
 */
export function withConnectionRules(
  application: RequestListener,
  { pending, log, requiresTls }: ConnectionRules,
): RequestListener {
  const begin: RequestListener = (request, response) => {
    // Section 9.6: the client was told that the connection closes, so this request must have no effect.
    if (isEnding(request.socket)) return;
    log.begin(request, response);
    const refusal = refusalOf(request, requiresTls);
    if (refusal === undefined) application(request, response);
    else refuse(response, ...refusal);
  };
  return (request, response) => {
    const { socket } = request;
    const earlier = pending.lastOf(socket);
    pending.add(socket, response);
    if (pending.of(socket).size > MAX_PIPELINED_REQUESTS) {
      countRefusal('pipelined_requests');
      socket.destroy();
    } else if (earlier === undefined) {
      begin(request, response);
    } else {
      earlier.once('close', () => {
        // The client may have closed the connection, or was told that it closes.
        if (!socket.writable) return;
        // Node keeps the timeout of the earlier response if a request waits.
        socket.setTimeout(0);
        begin(request, response);
      });
    }
  };
}

/** Refuses an `Expect` other than `100-continue`. Node's own response would have no body. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  refuse(response, 417, 'unsupported expectation: only 100-continue is supported');
}

function refusalOf(request: IncomingMessage, requiresTls: boolean): [number, string] | undefined {
  const { httpVersion, headers, rawHeaders } = request;
  const { host, 'transfer-encoding': coding } = headers;
  if (requiresTls && !isSecure(request)) return [400, 'this port needs https'];
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    countRefusal('headers');
    return [431, `more than ${MAX_HEADERS} headers`];
  }
  // Node's parser also accepts HTTP/0.9 and 2.0, which have other rules.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return [400, 'expected HTTP/1.1 or HTTP/1.0'];
  if (host === undefined && httpVersion === '1.1') return [400, 'the header Host is missing'];
  const repeated = SINGLE_HEADERS.find((name) => headers[name] !== undefined && isRepeated(rawHeaders, name));
  if (repeated !== undefined) return [400, `the header ${repeated} is repeated`];
  if (host !== undefined && !isAuthority(host)) {
    return [400, 'the header Host is malformed: expected a host name or address, with an optional port'];
  }
  if (coding !== undefined && (httpVersion !== '1.1' || coding.toLowerCase() !== 'chunked')) {
    return [400, 'unsupported transfer coding: only chunked is supported, in HTTP/1.1'];
  }
  if (!resolveTarget(request)) return [400, 'the request target is neither a path nor an http URL'];
  return undefined;
}

function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index];
    if (given?.length === name.length && given.toLowerCase() === name) count += 1;
  }
  return count > 1;
}
