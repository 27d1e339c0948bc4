import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

/** Keys of Node's HTTP parser: `kOnBody` and `kOnExecute` in `lib/_http_server.js`. */
const ON_BODY = 3;
const ON_EXECUTE = 5;

/** Node's HTTP parser, as `lib/_http_server.js` uses it. */
interface NodeParser {
  execute(bytes: Uint8Array): unknown;
  /** Called with each piece of a body, copied into a new buffer. */
  [ON_BODY]: ((bytes: Buffer) => void) | null;
  /** Called with the result of `execute` after each read of Node's own. Handles malformed input. */
  [ON_EXECUTE]?: ((result: unknown) => void) | null;
}

interface NodeSocket {
  readonly parser?: NodeParser | null;
  readonly _handle?: { readonly fd?: number } | null;
  /** Whether Node stopped reading, because the client reads no responses. */
  readonly _paused?: boolean;
}

/**
 * The HTTP parser of a request's connection, and the connection's descriptor. This file has everything that
 * direct reads use of Node and that Node does not document. It is checked at boot (`direct-reads.ts`).
 */
export class RequestParser {
  private constructor(
    private readonly request: IncomingMessage,
    private readonly socket: NodeSocket,
    private readonly parser: NodeParser,
    readonly descriptor: number,
  ) {}

  /** Returns undefined if the connection's bytes do not go straight to the parser, with TLS for example. */
  static of(request: IncomingMessage): RequestParser | undefined {
    const { socket } = request;
    const { parser, _handle: handle, _paused: isPaused } = socket as NodeSocket;
    const descriptor = handle?.fd ?? -1;
    const isPlain = !(socket instanceof TLSSocket) && socket.readableLength === 0 && isPaused !== true;
    if (parser === undefined || parser === null || descriptor < 0 || !isPlain) return undefined;
    return new RequestParser(request, socket as NodeSocket, parser, descriptor);
  }

  /** Whether the connection is open, and still has this parser. */
  get isAttached(): boolean {
    return this.socket.parser === this.parser;
  }

  /**
   * Lets the parser count received bytes. The request's stream doesn't get their content.
   *
   * @returns how many are well-formed. If not all are, the parser has reported the error.
   */
  count(bytes: Uint8Array): number {
    return this.execute(bytes, null);
  }

  /** As `count`, and adds the content that the bytes have to `content`, copied. */
  extract(bytes: Uint8Array, content: Buffer[]): number {
    const onBody = this.parser[ON_BODY];
    return this.execute(bytes, (piece) => {
      // Behind the end of this body comes that of the next request.
      if (this.request.complete) onBody?.call(this.parser, piece);
      else content.push(piece);
    });
  }

  /** Gives the parser bytes behind the body, as if Node had read them: those of the next request. */
  parse(bytes: Uint8Array): void {
    this.execute(bytes, this.parser[ON_BODY]);
  }

  private execute(bytes: Uint8Array, onBody: NodeParser[typeof ON_BODY]): number {
    const { parser } = this;
    if (!this.isAttached) return bytes.length;
    const usual = parser[ON_BODY];
    let result: unknown;
    parser[ON_BODY] = onBody;
    try {
      result = parser.execute(bytes);
    } finally {
      // Connections share parsers, one after the other.
      parser[ON_BODY] = usual;
    }
    parser[ON_EXECUTE]?.(result);
    return result instanceof Error ? parsedBytes(result) : bytes.length;
  }
}

function parsedBytes(error: Error & { bytesParsed?: unknown }): number {
  return typeof error.bytesParsed === 'number' ? error.bytesParsed : 0;
}
