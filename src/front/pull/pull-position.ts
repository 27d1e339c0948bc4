import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';

/** How far a pull has got, and what is left of it. */
export class PullPosition {
  private constructor(
    private next: number,
    private readonly last: number,
    private readonly etag: string,
  ) {}

  /** Returns undefined if the answer has no bytes that another replica could continue. */
  static of({ statusCode, headers }: IncomingMessage): PullPosition | undefined {
    const { etag, 'content-length': length, 'content-range': range } = headers;
    if (etag === undefined || length === undefined) return undefined;
    if (statusCode === 200) return new PullPosition(0, Number(length) - 1, etag);
    const [, start, end] = /^bytes (\d+)-(\d+)\//.exec(range ?? '') ?? [];
    // An answer with several ranges has no `Content-Range`.
    if (statusCode !== 206 || end === undefined) return undefined;
    return new PullPosition(Number(start), Number(end), etag);
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.last - this.next + 1;
  }

  /** The headers that ask for the rest (RFC 9110, sections 13.1.5 and 14.2). */
  get headers(): OutgoingHttpHeaders {
    return { range: `bytes=${this.next}-${this.last}`, 'if-range': this.etag };
  }

  /** Whether an answer begins where this one broke off. */
  isContinuedBy(message: IncomingMessage): boolean {
    const other = PullPosition.of(message);
    return message.statusCode === 206 && other?.next === this.next && other.etag === this.etag;
  }

  advance(bytes: number): void {
    this.next += bytes;
  }
}
