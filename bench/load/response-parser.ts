import { ChunkCounter } from './chunk-counter.js';

/** A response. Its body was counted and discarded. */
export interface ParsedResponse {
  readonly status: number;
  readonly bodyBytes: number;
  readonly location: string | undefined;
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** A longer head is an error of the server. */
const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Parses the responses of one connection with little work: status, length, `Location`. Bodies are counted in
 * the socket's buffer, which is then reused.
 */
export class ResponseParser {
  private headPart: Buffer | undefined;
  private bodyLeft = 0;
  private chunks: ChunkCounter | undefined;
  private status = 0;
  private bodyBytes = 0;
  private location: string | undefined;
  /** The next response has no body, because the request was a HEAD. */
  bodyless = false;

  constructor(private readonly onResponse: (response: ParsedResponse) => void) {}

  /** @throws Error if the bytes are not a response. */
  feed(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.chunks !== undefined) at = this.countChunks(this.chunks, bytes, at, length);
      else if (this.bodyLeft > 0) at = this.countBody(at, length);
      else at = this.readHead(bytes, at, length);
    }
  }

  private countBody(at: number, length: number): number {
    const taken = Math.min(this.bodyLeft, length - at);
    this.bodyLeft -= taken;
    if (this.bodyLeft === 0) this.complete();
    return at + taken;
  }

  private countChunks(chunks: ChunkCounter, bytes: Buffer, at: number, length: number): number {
    const next = chunks.feed(bytes, at, length);
    if (chunks.complete) {
      this.chunks = undefined;
      this.bodyBytes = chunks.bodyBytes;
      this.complete();
    }
    return next;
  }

  private readHead(bytes: Buffer, at: number, length: number): number {
    const fresh = bytes.subarray(at, length);
    const head = this.headPart === undefined ? fresh : Buffer.concat([this.headPart, fresh]);
    const end = head.indexOf(HEAD_END);
    if (end === -1) {
      if (head.length > MAX_HEAD_BYTES) throw new Error('the head of a response is too long');
      // A copy, because the socket's buffer is reused.
      this.headPart = Buffer.from(head);
      return length;
    }
    const consumed = end + HEAD_END.length - (head.length - fresh.length);
    this.headPart = undefined;
    this.begin(head.toString('latin1', 0, end + 2));
    return at + consumed;
  }

  private begin(head: string): void {
    if (!head.startsWith('HTTP/1.1 '))
      throw new Error(`not a response: ${JSON.stringify(head.slice(0, 80))}`);
    this.status = Number(head.slice(9, 12));
    this.location = this.status < 300 ? /\r\nlocation: *([^\r]+)/i.exec(head)?.[1] : undefined;
    this.bodyBytes = 0;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (this.bodyless || this.status === 204) this.complete();
    else if (length === undefined && /\r\ntransfer-encoding: *chunked/i.test(head))
      this.chunks = new ChunkCounter();
    else this.expect(length);
  }

  private expect(length: string | undefined): void {
    if (length === undefined) throw new Error('a response has no length');
    this.bodyBytes = this.bodyLeft = Number(length);
    if (this.bodyLeft === 0) this.complete();
  }

  private complete(): void {
    this.onResponse({ status: this.status, bodyBytes: this.bodyBytes, location: this.location });
  }
}
