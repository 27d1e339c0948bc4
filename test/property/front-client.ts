import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { httpChunk, type RawHeaders, requestHead } from '../support/raw-http.js';

const MAX_PIECES = 100;

/** A request as a client sends it, on a connection of its own. */
export interface ClientRequest {
  readonly method: string;
  readonly target: string;
  readonly headers?: RawHeaders;
  readonly body?: ClientBody;
}

export interface ClientBody {
  readonly bytes: Buffer;
  /** The client sends it in pieces of these sizes, again and again. */
  readonly pieces: readonly number[];
  readonly isChunked: boolean;
  /** Whether the client waits for `100 Continue` first. */
  readonly isExpecting: boolean;
}

/** All that a client receives until the connection ends. */
export interface ClientAnswer {
  /** The status of each interim response. */
  readonly interims: readonly number[];
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** A response that ended too early. */
export class BrokenAnswerError extends Error {
  constructor(
    /** What came of the body. */
    readonly body: Buffer,
    lengthBytes: number,
  ) {
    super(`${body.length} bytes of a body of ${lengthBytes}`);
  }
}

/** Sends a request. @throws Error if what comes isn't interim responses and then one whole final response */
export async function ask(url: string, request: ClientRequest): Promise<ClientAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  let received = Buffer.alloc(0);
  let more: () => void = () => undefined;
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    more();
  });
  // The end shows whether the answer is whole.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const { body } = request;
  const send = (bytes: Buffer | string) =>
    new Promise<void>((resolve) => (socket.destroyed ? resolve() : socket.write(bytes, () => resolve())));
  await send(requestHead(request.method, request.target, headersOf(request)));
  if (body?.isExpecting === true) {
    const some = new Promise<void>((resolve) => (more = resolve));
    if (received.length === 0) await Promise.race([some, closed]);
  }
  if (body?.isExpecting === true && !received.includes('HTTP/1.1 100 ')) {
    // The server would wait for the body, which isn't sent.
    socket.end();
  } else if (body !== undefined) {
    for (const piece of piecesOf(body)) {
      await send(piece);
      await turn();
    }
  }
  await closed;
  return parse(received, request.method);
}

function headersOf({ headers = [], body }: ClientRequest): RawHeaders {
  const framing: RawHeaders =
    body === undefined
      ? []
      : [body.isChunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', body.bytes.length]];
  const expectation: RawHeaders = body?.isExpecting === true ? [['Expect', '100-continue']] : [];
  return [...headers, ...framing, ...expectation, ['Connection', 'close']];
}

function* piecesOf({ bytes, pieces, isChunked }: ClientBody): Generator<Buffer | string> {
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    // Not a megabyte byte by byte.
    const size = Math.max(pieces[n % pieces.length] ?? bytes.length, Math.ceil(bytes.length / MAX_PIECES));
    const piece = bytes.subarray(at, at + size);
    at += piece.length;
    yield isChunked ? httpChunk(piece) : piece;
  }
  if (isChunked) yield '0\r\n\r\n';
}

function parse(received: Buffer, method: string): ClientAnswer {
  const interims: number[] = [];
  for (let rest = received; ;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) throw new Error(`no whole answer: ${JSON.stringify(received.toString('latin1', 0, 2_000))}`);
    const [statusLine = '', ...lines] = rest.toString('latin1', 0, end).split('\r\n');
    rest = rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    if (status >= 200) {
      const headers = new Headers();
      for (const line of lines)
        headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1));
      return { interims, status, headers, body: bodyOf(rest, method, status, headers) };
    }
    interims.push(status);
  }
}

/** @throws if there are more bytes, or fewer, than the headers say */
function bodyOf(rest: Buffer, method: string, status: number, headers: Headers): Buffer {
  const isChunked = headers.get('transfer-encoding') === 'chunked';
  const isEmpty = method === 'HEAD' || status === 204 || status === 304;
  const body = isChunked && !isEmpty ? dechunked(rest) : rest;
  const length = isEmpty ? 0 : Number(headers.get('content-length') ?? body.length);
  if (body.length !== length) throw new BrokenAnswerError(body, length);
  return body;
}

/** @throws if it has no end, or if more follows */
function dechunked(rest: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at);
    const length = parseInt(rest.toString('latin1', at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(length)) throw new Error('a chunked body without an end');
    if (length === 0 && rest.length !== lineEnd + 4) throw new Error('bytes after the answer');
    if (length === 0) return Buffer.concat(parts);
    parts.push(rest.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
}
