/** Where the framing of a chunked body (RFC 9112, section 7.1) is at a byte. */
type Part = 'size' | 'extension' | 'content' | 'content end' | 'trailer' | 'done' | 'malformed';

/** The last content ends so few bytes before the end: CRLF, and as much as was read of the next size. */
const MAX_TAIL_BYTES = 32;

const CR = 0x0d;
const LF = 0x0a;

/**
 * Finds the content of a chunked body among its framing, in pieces of any size. Node's parser gets the same
 * bytes and refuses malformed ones; this class only has to agree with it on what is well-formed.
 *
 *     8000 CRLF ▒▒▒▒▒▒ CRLF 8000 ; extension CRLF ▒▒▒▒▒▒ CRLF 0 CRLF (trailer CRLF)* CRLF
 */
export class ChunkedFraming {
  private part: Part = 'size';
  private sizeBytes = 0;
  private digits = 0;
  /** Bytes of the current chunk's content that are still to come. */
  private remaining = 0;
  private lineBytes = 0;

  /**
   * Returns the framing after `raw`, the last bytes of a body so far, if its last piece of content can be
   * found in them, with the size of its chunk before it. Returns undefined also if it may be in two places,
   * because the content imitates framing.
   *
   * @param last the last piece of content of `raw`, as the parser found it.
   */
  static after(raw: Buffer, last: Buffer): ChunkedFraming | undefined {
    const ends: number[] = [];
    for (let end = raw.length; end > raw.length - MAX_TAIL_BYTES; end -= 1) {
      const start = end - last.length;
      if (isLineEnd(raw, start) && raw.subarray(start, end).equals(last)) ends.push(end);
    }
    const [end, another] = ends;
    if (end === undefined || another !== undefined) return undefined;
    const sizeBytes = sizeBefore(raw, end - last.length);
    if (sizeBytes === undefined || sizeBytes < last.length) return undefined;
    const framing = new ChunkedFraming();
    framing.remaining = sizeBytes - last.length;
    framing.part = framing.remaining === 0 ? 'content end' : 'content';
    const spans: number[] = [];
    framing.read(raw.subarray(end), spans);
    return spans.length === 0 && !framing.isMalformed ? framing : undefined;
  }

  get isDone(): boolean {
    return this.part === 'done';
  }

  get isMalformed(): boolean {
    return this.part === 'malformed';
  }

  /**
   * Reads the next bytes, and adds start and end of each part of the content in them to `spans`. Returns how
   * many of the bytes belong to the body: all, unless it ends in them or is malformed.
   */
  read(raw: Uint8Array, spans: number[]): number {
    let at = 0;
    while (at < raw.length && this.part !== 'done' && this.part !== 'malformed') {
      if (this.part === 'content') {
        const taken = Math.min(this.remaining, raw.length - at);
        spans.push(at, at + taken);
        at += taken;
        this.remaining -= taken;
        if (this.remaining === 0) this.part = 'content end';
      } else {
        this.readByte(raw[at] ?? 0);
        at += 1;
      }
    }
    return at;
  }

  private readByte(byte: number): void {
    switch (this.part) {
      case 'size':
        return this.readSize(byte);
      case 'extension':
        if (byte === LF) this.endSize();
        return;
      case 'content end':
        if (byte === LF) this.beginSize();
        else if (byte !== CR) this.part = 'malformed';
        return;
      default:
        return this.readTrailer(byte);
    }
  }

  private readSize(byte: number): void {
    const digit = hexValue(byte);
    if (digit === undefined) {
      this.part = this.digits === 0 ? 'malformed' : 'extension';
      if (byte === LF) this.part = 'malformed';
      return;
    }
    this.digits += 1;
    this.sizeBytes = this.sizeBytes * 16 + digit;
    if (!Number.isSafeInteger(this.sizeBytes)) this.part = 'malformed';
  }

  private beginSize(): void {
    this.part = 'size';
    this.sizeBytes = 0;
    this.digits = 0;
  }

  private endSize(): void {
    this.remaining = this.sizeBytes;
    this.lineBytes = 0;
    this.part = this.remaining === 0 ? 'trailer' : 'content';
  }

  /** An empty line ends the trailers, and the body. */
  private readTrailer(byte: number): void {
    if (byte === LF) {
      if (this.lineBytes === 0) this.part = 'done';
      this.lineBytes = 0;
    } else if (byte !== CR) {
      this.lineBytes += 1;
    }
  }
}

/** Returns the size in a line `CRLF size CRLF` that ends at `end`, or undefined if the line has more. */
function sizeBefore(raw: Uint8Array, end: number): number | undefined {
  if (!isLineEnd(raw, end)) return undefined;
  let size = 0;
  let at = end - 3;
  for (let scale = 1; scale < Number.MAX_SAFE_INTEGER; scale *= 16, at -= 1) {
    const digit = hexValue(raw[at] ?? 0);
    if (digit === undefined) break;
    size += digit * scale;
  }
  return raw[at] === LF && raw[at - 1] === CR ? size : undefined;
}

function isLineEnd(raw: Uint8Array, end: number): boolean {
  return raw[end - 1] === LF && raw[end - 2] === CR;
}

function hexValue(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined;
}
