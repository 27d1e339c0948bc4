import { once } from 'node:events';
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface ChaosRequestOptions {
  readonly headers?: Record<string, string>;
  readonly body?: AsyncIterable<Buffer>;
  /** The request is aborted after this long without data. */
  readonly idleTimeoutMs: number;
  /** Aborting it closes the client's connection. */
  readonly signal?: AbortSignal;
}

/** The outcome of a request. Without a status, the connection broke or the client timed out. */
export interface Outcome {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Maximum number of bytes of the body that the kernel received. */
  readonly sentBytes: number;
}

/** Requests with a response. The rest of their body is not sent. */
const requestsWithResponse = new WeakSet<ClientRequest>();

/** One request on its own connection. An early response ends its body. Never rejects. */
export async function chaosRequest(
  method: string,
  url: URL,
  { headers = {}, body, idleTimeoutMs, signal }: ChaosRequestOptions,
): Promise<Outcome> {
  const request = httpRequest(url, { method, headers, agent: false });
  const leave = () => request.destroy();
  request.setTimeout(idleTimeoutMs, leave);
  signal?.addEventListener('abort', leave, { once: true });
  const response = readResponse(request);
  const sentBytes = await sendBody(request, body, response);
  const outcome = await response;
  signal?.removeEventListener('abort', leave);
  request.destroy();
  return { status: undefined, headers: {}, body: Buffer.alloc(0), text: '', ...outcome, sentBytes };
}

/** Resolves to the response, or to undefined if the connection broke. */
async function readResponse(request: ClientRequest): Promise<Omit<Outcome, 'sentBytes'> | undefined> {
  const gone = new Promise<undefined>((resolve) => request.once('close', () => resolve(undefined)));
  request.on('error', () => undefined);
  const read = async () => {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    requestsWithResponse.add(request);
    const body = await buffer(response);
    return { status: response.statusCode, headers: response.headers, body, text: body.toString('utf8') };
  };
  return Promise.race([read().catch(() => gone), gone]);
}

async function sendBody(
  request: ClientRequest,
  body: AsyncIterable<Buffer> | undefined,
  response: Promise<unknown>,
): Promise<number> {
  let sentBytes = 0;
  for await (const piece of body ?? []) {
    if (isOver(request)) return sentBytes;
    sentBytes += piece.length;
    await Promise.race([written(request, piece), response]);
  }
  if (!isOver(request)) request.end();
  return sentBytes;
}

/** Resolves when the kernel has the piece. May never resolve if the connection broke. */
function written(request: ClientRequest, piece: Buffer): Promise<void> {
  return new Promise((resolve) => request.write(piece, () => resolve()));
}

function isOver(request: ClientRequest): boolean {
  return request.destroyed || requestsWithResponse.has(request);
}
