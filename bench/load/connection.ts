import { once } from 'node:events';
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { usesTls } from './scheme.js';
import { ResponseParser, type ParsedResponse } from './response-parser.js';

export const HOST = '127.0.0.1';

/** One request at a time on a keep-alive connection. A plain socket, without an HTTP client's overhead. */
export class Connection {
  private waiting: ((response: ParsedResponse) => void) | undefined;
  private failure: Error | undefined;
  private readonly parser: ResponseParser;
  /** Called once, when the connection fails. */
  onFailure: (error: Error) => void = () => undefined;

  private constructor(
    private readonly socket: Socket,
    feed: { take: (bytes: Buffer, length: number) => void },
  ) {
    this.parser = new ResponseParser((response) => this.received(response));
    feed.take = (bytes, length) => this.read(bytes, length);
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the server closed the connection')));
  }

  /** @param bufferBytes size of the reused read buffer. */
  static async open(port: number, bufferBytes: number): Promise<Connection> {
    const feed = { take: (_bytes: Buffer, _length: number): void => undefined };
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(bufferBytes),
      callback: (length, bytes) => {
        feed.take(bytes as Buffer, length);
        return true;
      },
    };
    const options = { host: HOST, port, noDelay: true, onread };
    const socket = usesTls() ? connectTls(options) : connect(options);
    await once(socket, usesTls() ? 'secureConnect' : 'connect');
    return new Connection(socket, feed);
  }

  /** Sends a whole request, and calls back with its response. Failures go to `onFailure`. */
  send(request: Buffer, bodyless: boolean, done: (response: ParsedResponse) => void): void {
    if (this.failure) return this.onFailure(this.failure);
    this.waiting = done;
    this.parser.bodyless = bodyless;
    this.socket.write(request);
  }

  /** Sends a request with its body in parts, with backpressure. */
  async exchange(head: string, body: Iterable<Buffer> = [], bodyless = false): Promise<ParsedResponse> {
    const response = new Promise<ParsedResponse>((resolve, reject) => {
      if (this.failure) return reject(this.failure);
      this.waiting = resolve;
      this.onFailure = reject;
    });
    this.parser.bodyless = bodyless;
    // A response before the end of the body is a refusal, and ends the sending.
    await Promise.all([response, this.sendAll(head, body)]);
    return response;
  }

  close(): void {
    this.onFailure = () => undefined;
    this.socket.destroy();
  }

  private async sendAll(head: string, body: Iterable<Buffer>): Promise<void> {
    this.socket.cork();
    let fits = this.socket.write(head, 'latin1');
    let first = true;
    for (const part of body) {
      fits = this.socket.write(part) && fits;
      if (first) this.socket.uncork();
      first = false;
      if (!fits) await once(this.socket, 'drain');
      fits = true;
    }
    if (first) this.socket.uncork();
  }

  private read(bytes: Buffer, length: number): void {
    try {
      this.parser.feed(bytes, length);
    } catch (error) {
      this.socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private received(response: ParsedResponse): void {
    const done = this.waiting;
    this.waiting = undefined;
    if (done) done(response);
    else this.fail(new Error(`an unexpected response (${response.status})`));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting = undefined;
    this.onFailure(this.failure);
    this.onFailure = () => undefined;
  }
}

/** Opens connections before the measurement. */
export function openConnections(port: number, count: number): Promise<Connection[]> {
  // Few connections have large bodies, and so larger reads. Many have small responses.
  const bufferBytes = count <= 16 ? 256 * 1024 : 32 * 1024;
  return Promise.all(Array.from({ length: count }, () => Connection.open(port, bufferBytes)));
}
