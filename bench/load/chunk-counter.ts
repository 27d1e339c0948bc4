const CR = 13;
const LF = 10;

/** Counts the bytes of a chunked body (RFC 9112, section 7.1) without keeping them. */
export class ChunkCounter {
  bodyBytes = 0;
  complete = false;
  private dataLeft = 0;
  private line = '';
  private expecting: 'size' | 'end of data' | 'trailer' = 'size';

  /** Returns the position after the body, or the end of the bytes. */
  feed(bytes: Buffer, from: number, length: number): number {
    let at = from;
    while (at < length && !this.complete) {
      if (this.dataLeft > 0) {
        const taken = Math.min(this.dataLeft, length - at);
        this.dataLeft -= taken;
        at += taken;
      } else {
        at = this.readLine(bytes, at, length);
      }
    }
    return at;
  }

  private readLine(bytes: Buffer, from: number, length: number): number {
    const end = bytes.indexOf(LF, from);
    if (end === -1 || end >= length) {
      this.line += bytes.toString('latin1', from, length);
      return length;
    }
    const last = end > from && bytes[end - 1] === CR ? end - 1 : end;
    this.take((this.line + bytes.toString('latin1', from, last)).trimEnd());
    this.line = '';
    return end + 1;
  }

  private take(line: string): void {
    if (this.expecting === 'trailer') {
      this.complete = line === '';
    } else if (this.expecting === 'end of data') {
      this.expecting = 'size';
    } else {
      const size = parseInt(line, 16);
      if (Number.isNaN(size)) throw new Error(`not a chunk size: ${JSON.stringify(line.slice(0, 40))}`);
      this.dataLeft = size;
      this.bodyBytes += size;
      this.expecting = size === 0 ? 'trailer' : 'end of data';
    }
  }
}
