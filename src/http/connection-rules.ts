import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { PendingResponses } from './pending-responses.js';
import { endAfterBody, isEnding } from './unread-body.js';

/**
 * Most requests of one connection that may wait for their answers. Node hands over every pipelined request at once, and
 * each may ask for megabytes: without a bound one small write keeps everybody waiting. Registry clients don't pipeline.
 */
const MAX_PIPELINED_REQUESTS = 8;

/**
 * Stands before the application and holds to what RFC 9112 says of connections and messages where Node doesn't. Every response
 * is among the `pending` ones until it closes, those included that nobody will send.
 */
export function withConnectionRules(
  application: RequestListener,
  pending: PendingResponses,
): RequestListener {
  return (request, response) => {
    const { socket } = request;
    pending.add(socket, response);
    if (pending.of(socket).size > MAX_PIPELINED_REQUESTS) {
      socket.destroy();
      return;
    }
    // Section 9.6: its sender has been told that the connection ends, and must not be surprised by what became of this.
    if (isEnding(socket)) return;
    const refusal = refusalOf(request);
    if (refusal === undefined) application(request, response);
    else refuse(response, ...refusal);
  };
}

/** Node's answer to an `Expect` other than `100-continue` has no body. */
export function answerUnknownExpectation(_request: IncomingMessage, response: ServerResponse): void {
  refuse(response, 417, 'the registry meets no expectation but 100-continue');
}

function refusalOf({ httpVersion, headers }: IncomingMessage): [number, string] | undefined {
  if (httpVersion === '1.1' && headers.host === undefined) return [400, 'the header Host is missing'];
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return [400, 'the registry knows no transfer coding but chunked'];
  }
  return undefined;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const body = Buffer.from(JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message }] }));
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Docker-Distribution-API-Version': 'registry/2.0',
    Connection: 'close',
  });
  endAfterBody(response.req, response, body);
}
