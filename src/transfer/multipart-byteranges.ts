import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type ByteSpan, formatContentRange } from '../oci/byte-range.js';
import type { OpenObject } from '../storage/driver-abilities.js';

type Spans = readonly [ByteSpan, ...ByteSpan[]];

/** A piece of the body: text between the parts, or the bytes of a part. */
interface Piece {
  readonly position: number;
  readonly lengthBytes: number;
  readonly content: Buffer | ByteSpan;
}

/**
 * The body of a response to several ranges (RFC 9110, section 14.6). Its length is known before any byte of
 * the blob is read.
 *
 *     --boundary            --boundary            --boundary--
 *     Content-Range: …      Content-Range: …
 *
 *     bytes of a span       bytes of a span
 */
export class MultipartByteranges {
  readonly contentType: string;
  readonly sizeBytes: number;
  private readonly pieces: Piece[] = [];

  /** @param partType the `Content-Type` of the blob. */
  constructor(
    private readonly spans: Spans,
    blobBytes: number,
    partType: string,
  ) {
    // Random, so that no content can be made to contain it.
    const boundary = randomBytes(16).toString('hex');
    this.contentType = `multipart/byteranges; boundary=${boundary}`;
    let size = 0;
    const add = (content: Buffer | ByteSpan, lengthBytes: number) => {
      this.pieces.push({ position: size, lengthBytes, content });
      size += lengthBytes;
    };
    const addText = (text: string) => add(Buffer.from(text), text.length);
    for (const [index, span] of spans.entries()) {
      addText(
        `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${partType}\r\n` +
          `Content-Range: ${formatContentRange(span, blobBytes)}\r\n\r\n`,
      );
      add(span, span.end - span.start + 1);
    }
    addText(`\r\n--${boundary}--\r\n`);
    this.sizeBytes = size;
  }

  /** Returns the body for a blob in memory. */
  ofBytes(blob: Buffer): Buffer {
    const pieces = this.pieces.map(({ content }) =>
      isText(content) ? content : blob.subarray(content.start, content.end + 1),
    );
    return Buffer.concat(pieces, this.sizeBytes);
  }

  /** Returns the body for an open blob. The caller closes `blob`, not the returned object. */
  ofObject(blob: OpenObject): OpenObject {
    const read = async (buffer: Uint8Array, position: number): Promise<void> => {
      for (const { position: start, lengthBytes, content } of this.pieces) {
        const from = Math.max(start, position);
        const to = Math.min(start + lengthBytes, position + buffer.length);
        if (from >= to) continue;
        const target = buffer.subarray(from - position, to - position);
        if (isText(content)) target.set(content.subarray(from - start, to - start));
        else await blob.read(target, content.start + from - start);
      }
    };
    return { sizeBytes: this.sizeBytes, read, close: () => Promise.resolve() };
  }

  /**
   * Yields the body for a blob that can only be streamed, with one open stream at a time.
   *
   * @param first the bytes of the first span.
   * @param read opens the bytes of another span. All streams must fail when the client disconnects, as those
   *   of drivers do when their signal aborts: nothing else ends a stream that is waiting for the storage.
   */
  async *ofStreams(first: Readable, read: (span: ByteSpan) => Promise<Readable>): AsyncGenerator<Buffer> {
    for (const { content } of this.pieces) {
      if (isText(content)) yield content;
      else yield* (content === this.spans[0] ? first : await read(content)) as AsyncIterable<Buffer>;
    }
  }
}

function isText(content: Buffer | ByteSpan): content is Buffer {
  return Buffer.isBuffer(content);
}
