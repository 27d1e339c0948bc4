/** Go's HTTP client, and so docker, sends a body of unknown length in chunks of this size. */
export const HTTP_CHUNK_BYTES = 32 * 1024;

export const LAST_CHUNK = Buffer.from('0\r\n\r\n');

const LINE_END = Buffer.from('\r\n');

/** The bytes in chunks (RFC 9112, section 7.1), without the last chunk, which is empty. */
export function inChunks(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += HTTP_CHUNK_BYTES) {
    const data = bytes.subarray(at, at + HTTP_CHUNK_BYTES);
    pieces.push(Buffer.from(`${data.length.toString(16)}\r\n`), data, LINE_END);
  }
  return Buffer.concat(pieces);
}
