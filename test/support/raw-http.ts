import type { Socket } from 'node:net';
import { openSocket } from './https-client.js';

/** Headers as they are sent: in this order, with repetitions. Only `Host` is added. */
export type RawHeaders = readonly (readonly [name: string, value: string | number])[];

/** The head of a request, sent as it is: no path is normalised, no length is computed. */
export function requestHead(method: string, path: string, headers: RawHeaders = []): string {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** One chunk of a body in chunked transfer encoding. The empty one ends it. */
export function httpChunk(bytes: Uint8Array | string): Buffer {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]);
}

/** Sends one request on its own connection, for requests that `fetch` would correct or refuse. */
export async function rawRequest(
  url: string,
  method: string,
  path: string,
  headers: RawHeaders = [],
  body: Uint8Array | string = '',
): Promise<Response> {
  const connection = await RawConnection.open(url);
  try {
    await connection.send(requestHead(method, path, headers), body);
    return await connection.response({ toHead: method === 'HEAD' });
  } finally {
    connection.leave();
  }
}

/** A connection that sends exactly what a test gives it, in the test's pieces. */
export class RawConnection {
  private received: Buffer = Buffer.alloc(0);
  private readonly chunks: AsyncIterator<Buffer>;

  private constructor(private readonly socket: Socket) {
    this.chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // Reads and writes report errors; without a listener an idle connection's error would end the process.
    socket.on('error', () => undefined);
  }

  static async open(url: string): Promise<RawConnection> {
    return new RawConnection(await openSocket(url));
  }

  /** Resolves when the kernel has the bytes. Rejects when the other side has closed. */
  async send(...parts: readonly (string | Uint8Array)[]): Promise<void> {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Returns the next response. @throws if the connection ends before the response does */
  async response({ toHead = false } = {}): Promise<Response> {
    const { status, headers } = await this.head();
    if (status >= 100 && status < 200) return this.response({ toHead });
    const empty = toHead || status === 204 || status === 304;
    if (!empty && !headers.has('content-length')) throw new Error('a response without a Content-Length');
    const length = empty ? 0 : Number(headers.get('content-length'));
    await this.receiveUntil(() => this.received.length >= length);
    return new Response(empty ? null : this.take(length), { status, headers });
  }

  /** Returns the head of the next response, also of an interim one. */
  async head(): Promise<{ status: number; headers: Headers }> {
    await this.receiveUntil(() => this.received.includes('\r\n\r\n'));
    const head = this.take(this.received.indexOf('\r\n\r\n') + 4).toString('latin1');
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n');
    const headers = new Headers();
    for (const line of lines)
      headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim());
    return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]), headers };
  }

  /** Returns the first bytes received. */
  async some(): Promise<Buffer> {
    await this.receiveUntil(() => this.received.length > 0);
    return this.take(this.received.length);
  }

  /** Returns all bytes received until the connection ends. */
  async rest(): Promise<Buffer> {
    const ended = () => false;
    await this.receiveUntil(ended).catch(() => undefined);
    return this.take(this.received.length);
  }

  /** Half-closes the connection: no more is sent, responses are still read. */
  finishSending(): void {
    this.socket.end();
  }

  /** Closes the connection, as when the client's process ends. */
  leave(): void {
    this.socket.destroy();
  }

  /** Closes the connection with a reset: the server loses what it has not read. Not over TLS. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  private async receiveUntil(enough: () => boolean): Promise<void> {
    while (!enough()) {
      const next = await this.chunks.next();
      if (next.done === true)
        throw new Error(`the connection ended after ${this.received.toString('latin1')}`);
      this.received = Buffer.concat([this.received, next.value]);
    }
  }

  private take(length: number): Buffer<ArrayBuffer> {
    const taken = Buffer.from(this.received.subarray(0, length));
    this.received = this.received.subarray(length);
    return taken;
  }
}
