import { closeSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { DuplicateDescriptor } from './duplicate-descriptor.js';
import { RequestParser } from './request-parser.js';

/** What reads the bytes of a connection. */
export interface DirectReader {
  /** Where the next bytes go. Called before the first read, and after each `received`. */
  nextBuffer(): Uint8Array;
  /** Called with the number of bytes at the beginning of the last `nextBuffer`. False pauses the reading. */
  received(bytes: number): boolean;
}

/**
 * Reads the connection of a request in place of Node, into buffers of the reader: without a new buffer for
 * each 64 KiB, and without copies. A second descriptor of the socket is read with `onread`, while Node's own
 * one is paused. Node's parser is told of each byte, so that Node can continue at any time.
 */
export class DirectConnection {
  private direct: Socket | undefined;
  private isClosed = false;

  private constructor(
    private readonly request: IncomingMessage,
    readonly parser: RequestParser,
    private readonly descriptor: number,
  ) {
    request.socket.pause().on('resume', this.keepPaused).once('close', this.onClose);
  }

  /** Pauses Node's reading. Returns undefined if the connection can't be read directly. */
  static open(request: IncomingMessage, duplicate: DuplicateDescriptor): DirectConnection | undefined {
    const parser = RequestParser.of(request);
    if (parser === undefined) return undefined;
    const descriptor = duplicate(parser.descriptor);
    return descriptor < 0 ? undefined : new DirectConnection(request, parser, descriptor);
  }

  /** Begins to read. Call it when the request's stream has no bytes left. */
  start(reader: DirectReader): void {
    if (this.isClosed) return;
    const options: SocketConstructorOpts & { onread: object } = {
      fd: this.descriptor,
      readable: true,
      writable: false,
      allowHalfOpen: true,
      onread: {
        buffer: () => reader.nextBuffer(),
        callback: (bytes: number) => reader.received(bytes),
      },
    };
    this.direct = new Socket(options);
    // At the end, Node reads the same from its own descriptor.
    this.direct.once('end', this.onClose).once('error', (error) => {
      this.close();
      this.request.socket.destroy(error);
    });
  }

  /** Continues after a pause. */
  resume(): void {
    this.direct?.resume();
  }

  /**
   * Lets Node read the connection again. Idempotent.
   *
   * @param rest bytes that were received behind the body: of the next request.
   */
  close(rest?: Uint8Array): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const { socket } = this.request;
    socket.removeListener('resume', this.keepPaused).removeListener('close', this.onClose);
    if (this.direct === undefined) closeSync(this.descriptor);
    else this.direct.destroy();
    if (rest !== undefined && rest.length > 0) this.parser.parse(rest);
    socket.resume();
  }

  private readonly onClose = () => this.close();

  /** Node resumes its reading on several occasions, also some time after it decided to. */
  private readonly keepPaused = () => {
    this.request.socket.pause();
  };
}
