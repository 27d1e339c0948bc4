import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { endAfterBody, hasUnreadBody } from '../../http/connection/unread-body.js';
import { answerHeaders } from './forwarded-headers.js';

/** Larger bodies are passed on while they arrive. */
const MAX_COLLECTED_BYTES = 1024 * 1024;

/** An answer of a replica. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** All of the body, or the body while it arrives. */
  readonly body: Buffer | IncomingMessage;
}

/** Reads an answer to its end, unless it is large. @throws Error if it is broken off, or endless. */
export async function collect(message: IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headers } = message;
  const isLarge = !(Number(headers['content-length'] ?? 0) <= MAX_COLLECTED_BYTES);
  const isOpenEnded = headers['transfer-encoding'] !== undefined;
  // Most failures are not passed on, and nothing would end their bodies.
  const isFailure = status >= 500;
  const body = (isLarge || isOpenEnded) && !isFailure ? message : await readAll(message);
  return { status, headers: answerHeaders(message), body };
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of message as AsyncIterable<Buffer>) {
    bytes += part.length;
    // A failure, or an answer that ends with its connection: no replica sends so much.
    if (bytes > MAX_COLLECTED_BYTES) throw new Error(`the answer has more than ${MAX_COLLECTED_BYTES} bytes`);
    parts.push(part);
  }
  if (!message.complete) throw new Error('the answer was broken off');
  return Buffer.concat(parts);
}

/** Sends an answer to the client, whose body may not have been read completely. */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  response.writeHead(status, { ...headers, ...(hasUnreadBody(request) && { connection: 'close' }) });
  if (Buffer.isBuffer(body)) endAfterBody(request, response, body.length === 0 ? undefined : body);
  else await pipeline(body, response);
}
