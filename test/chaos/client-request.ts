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
  /** Given up when nothing moves for so long. */
  readonly patienceMs: number;
  /** Aborted: the client goes away. */
  readonly signal?: AbortSignal;
}

/** What became of a request. Without a status: the connection broke, or the client gave up. */
export interface Outcome {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Bytes of the body that were given to the kernel, or may have been. */
  readonly sentBytes: number;
}

/** What has an answer needs no more of its body. */
const answeredRequests = new WeakSet<ClientRequest>();

/** One request on a connection of its own, whose body stops when an answer comes early. Never rejects. */
export async function chaosRequest(
  method: string,
  url: URL,
  { headers = {}, body, patienceMs, signal }: ChaosRequestOptions,
): Promise<Outcome> {
  const request = httpRequest(url, { method, headers, agent: false });
  const leave = () => request.destroy();
  request.setTimeout(patienceMs, leave);
  signal?.addEventListener('abort', leave, { once: true });
  const answer = readAnswer(request);
  const sentBytes = await sendBody(request, body, answer);
  const outcome = await answer;
  signal?.removeEventListener('abort', leave);
  request.destroy();
  return { status: undefined, headers: {}, body: Buffer.alloc(0), text: '', ...outcome, sentBytes };
}

/** Settles with the answer, or with nothing when the connection is gone. */
async function readAnswer(request: ClientRequest): Promise<Omit<Outcome, 'sentBytes'> | undefined> {
  const gone = new Promise<undefined>((resolve) => request.once('close', () => resolve(undefined)));
  request.on('error', () => undefined);
  const read = async () => {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    answeredRequests.add(request);
    const body = await buffer(response);
    return { status: response.statusCode, headers: response.headers, body, text: body.toString('utf8') };
  };
  return Promise.race([read().catch(() => gone), gone]);
}

async function sendBody(
  request: ClientRequest,
  body: AsyncIterable<Buffer> | undefined,
  answer: Promise<unknown>,
): Promise<number> {
  let sentBytes = 0;
  for await (const piece of body ?? []) {
    if (isOver(request)) return sentBytes;
    sentBytes += piece.length;
    await Promise.race([written(request, piece), answer]);
  }
  if (!isOver(request)) request.end();
  return sentBytes;
}

/** Settles when the kernel has it; never, perhaps, when the connection is gone. */
function written(request: ClientRequest, piece: Buffer): Promise<void> {
  return new Promise((resolve) => request.write(piece, () => resolve()));
}

function isOver(request: ClientRequest): boolean {
  return request.destroyed || answeredRequests.has(request);
}
