import type { IncomingMessage } from 'node:http';
import type { BodyContent, ReceivedContent } from './body-content.js';
import { ChunkedFraming } from './chunked-framing.js';
import type { RequestParser } from './request-parser.js';

/** Chunks of one byte take some milliseconds to find in it, in which nothing else runs. */
const MAX_READ_BYTES = 256 * 1024;

/**
 * A chunked body. The content is moved together over its framing, in place.
 *
 *     raw      8000 CRLF ▒▒▒▒▒▒▒▒ CRLF 8000 CRLF ▓▓▓▓▓▓▓▓ CRLF 8000 CRLF ░░
 *     content  ▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓░░
 *
 * The parser has read the beginning of the body, and does not tell how much of a chunk is left. So the
 * content comes from the parser, copied, until the first boundary between two chunks was received.
 */
export class ChunkedContent implements BodyContent {
  readonly maxReadBytes = MAX_READ_BYTES;
  /** Undefined until a boundary was received. */
  private framing: ChunkedFraming | undefined;
  private readonly spans: number[] = [];

  constructor(
    private readonly request: IncomingMessage,
    private readonly parser: RequestParser,
  ) {}

  receive(raw: Buffer): ReceivedContent {
    return this.framing === undefined ? this.receiveCopied(raw) : this.receiveInPlace(raw, this.framing);
  }

  private receiveCopied(raw: Buffer): ReceivedContent {
    const content: Buffer[] = [];
    const parsed = this.parser.extract(raw, content);
    const last = content.at(-1);
    if (last !== undefined) this.framing = ChunkedFraming.after(raw, last);
    let contentBytes = 0;
    for (const piece of content) {
      raw.set(piece, contentBytes);
      contentBytes += piece.length;
    }
    const isOver = this.request.complete || parsed < raw.length;
    return { contentBytes, end: isOver ? { rest: undefined } : undefined };
  }

  private receiveInPlace(raw: Buffer, framing: ChunkedFraming): ReceivedContent {
    const { spans } = this;
    spans.length = 0;
    const bodyBytes = framing.read(raw, spans);
    // The parser refuses what is malformed.
    const counted = framing.isMalformed ? raw : raw.subarray(0, bodyBytes);
    const parsed = this.parser.count(counted);
    // What the parser has refused gets a response.
    const isRefused = parsed < counted.length;
    const isAgreed = !framing.isMalformed && framing.isDone === this.request.complete;
    if (!isRefused && !isAgreed) this.request.socket.destroy();
    const contentBytes = moveTogether(raw, spans, parsed);
    const isOver = framing.isDone || framing.isMalformed || parsed < bodyBytes;
    const rest = isAgreed && framing.isDone ? raw.subarray(bodyBytes) : undefined;
    return { contentBytes, end: isOver ? { rest } : undefined };
  }
}

/** Moves the spans of `raw` before `limit` to its beginning, and returns their length. */
function moveTogether(raw: Buffer, spans: readonly number[], limit: number): number {
  let length = 0;
  for (let index = 0; index < spans.length; index += 2) {
    const start = spans[index] ?? 0;
    const end = Math.min(spans[index + 1] ?? 0, limit);
    if (start >= end) break;
    if (start > length) raw.copyWithin(length, start, end);
    length += end - start;
  }
  return length;
}
