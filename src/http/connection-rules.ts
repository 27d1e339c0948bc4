import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { PendingResponses } from './pending-responses.js';
import { refuse } from './refuse.js';
import { isAuthority, resolveTarget } from './request-target.js';
import { isEnding } from './unread-body.js';

/**
 * Most requests of one connection that may wait for their answers. Node hands over every pipelined request at
 * once, and each may ask for megabytes: without a bound one small write keeps everybody waiting. Registry
 * clients don't pipeline.
 */
const MAX_PIPELINED_REQUESTS = 8;

/**
 * Headers that decide where a request goes and who sends it. Node keeps the first of several; a proxy may
 * have kept the last one.
 */
const SINGLE_HEADERS = ['host', 'authorization'] as const;

/**
 * Stands before the application and holds to what RFC 9112 says of connections and messages where Node
 * doesn't. The requests of a connection are handled one after the other: the next one begins when the
 * response to the last one is closed (section 9.3.2). Every response is among the `pending` ones until it
 * closes, those included that nobody will send.
 */
export function withConnectionRules(
  application: RequestListener,
  pending: PendingResponses,
): RequestListener {
  const begin: RequestListener = (request, response) => {
    // Section 9.6: its sender has been told that the connection ends, and must not be surprised by what
    // became of this.
    if (isEnding(request.socket)) return;
    const refusal = refusalOf(request);
    if (refusal === undefined) application(request, response);
    else refuse(response, ...refusal);
  };
  return (request, response) => {
    const { socket } = request;
    const earlier = pending.lastOf(socket);
    pending.add(socket, response);
    if (pending.of(socket).size > MAX_PIPELINED_REQUESTS) {
      socket.destroy();
    } else if (earlier === undefined) {
      begin(request, response);
    } else {
      earlier.once('close', () => {
        // It may have been the last one: the client closed the connection, or was told that it ends.
        if (!socket.writable) return;
        // Node resets an earlier response's timeout only where no request waits.
        socket.setTimeout(0);
        begin(request, response);
      });
    }
  };
}

/** Node's answer to an `Expect` other than `100-continue` has no body. */
export function answerUnknownExpectation(_request: IncomingMessage, response: ServerResponse): void {
  refuse(response, 417, 'the registry meets no expectation but 100-continue');
}

function refusalOf(request: IncomingMessage): [number, string] | undefined {
  const { httpVersion, headers, rawHeaders } = request;
  const { host, 'transfer-encoding': coding } = headers;
  // Node's parser takes HTTP/0.9 and 2.0 as well, to which none of these rules would apply.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return [400, 'expected HTTP/1.1 or HTTP/1.0'];
  if (host === undefined && httpVersion === '1.1') return [400, 'the header Host is missing'];
  const repeated = SINGLE_HEADERS.find((name) => headers[name] !== undefined && isRepeated(rawHeaders, name));
  if (repeated !== undefined) return [400, `the header ${repeated} is there more than once`];
  if (host !== undefined && !isAuthority(host)) {
    return [400, 'the header Host is malformed: expected a host name or address, and maybe a port'];
  }
  if (coding !== undefined && (httpVersion !== '1.1' || coding.toLowerCase() !== 'chunked')) {
    return [400, 'the registry knows no transfer coding but chunked, in HTTP/1.1'];
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
