import type { RequestParser } from './request-parser.js';

/** What became of received bytes. */
export interface ReceivedContent {
  /** The bytes of content, which are now at the beginning of the received ones. */
  readonly contentBytes: number;
  /** Set at the end of the body, or if the body is malformed. */
  readonly end: { readonly rest: Uint8Array | undefined } | undefined;
}

/** Takes the content out of the bytes of a body, and tells the parser of them. */
export interface BodyContent {
  /** The maximum of bytes to read at once. */
  readonly maxReadBytes: number;
  receive(raw: Buffer): ReceivedContent;
}

/** A body with a `Content-Length`: all bytes are content. */
export class SizedContent implements BodyContent {
  constructor(
    private readonly parser: RequestParser,
    /** The bytes of the body that are still to be received. */
    private remaining: number,
  ) {}

  get maxReadBytes(): number {
    return this.remaining;
  }

  receive(raw: Buffer): ReceivedContent {
    this.parser.count(raw);
    this.remaining -= raw.length;
    return { contentBytes: raw.length, end: this.remaining === 0 ? { rest: undefined } : undefined };
  }
}
