import { isUtf8 } from 'node:buffer';

/** Bytes that are compared in one step. */
const COMPARED_BYTES = 64 * 1024;
const CONTINUATION_BITS = 0b1100_0000;
const CONTINUATION = 0b1000_0000;

/** The offset of the first byte that is not part of UTF-8 text; the length if all are. */
export function firstByteOutsideUtf8(bytes: Buffer): number {
  let start = 0;
  while (start < bytes.length) {
    let end = Math.min(start + COMPARED_BYTES, bytes.length);
    // Not within a character, which has at most three bytes after its first.
    for (let n = 0; n < 3 && ((bytes[end] ?? 0) & CONTINUATION_BITS) === CONTINUATION; n += 1) end -= 1;
    const part = bytes.subarray(start, end);
    if (!isUtf8(part)) {
      // Decoding replaces what is not UTF-8.
      const decoded = Buffer.from(part.toString('utf8'));
      let at = part.findIndex((byte, index) => byte !== decoded[index]);
      if (at < 0) at = part.length;
      // The replacement character may begin with the same bytes as what it replaces.
      while (((decoded[at] ?? 0) & CONTINUATION_BITS) === CONTINUATION) at -= 1;
      return start + at;
    }
    start = end;
  }
  return bytes.length;
}
