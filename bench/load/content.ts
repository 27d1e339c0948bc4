import { createCipheriv, createHash, type Hash } from 'node:crypto';
import { HTTP_CHUNK_BYTES, inChunks, LAST_CHUNK } from './chunked-body.js';

const TAIL_BYTES = 64;
/** Size of one `write`: more than the socket's buffer, so that backpressure works within a part. */
const PART_BYTES = 1024 * 1024;

let base = Buffer.alloc(0);

/** Incompressible bytes, the same in each run. Grows as needed. */
function baseOf(sizeBytes: number): Buffer {
  if (base.length < sizeBytes) {
    base = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'b'), Buffer.alloc(16)).update(
      Buffer.alloc(sizeBytes),
    );
  }
  return base;
}

/** A blob to push. All contents share the memory of all but their last bytes. */
export interface Content {
  readonly digest: string;
  readonly sizeBytes: number;
  /** The bytes of a range, in parts, without a copy. */
  parts(from: number, to: number): Iterable<Buffer>;
  /** The whole body with `Transfer-Encoding: chunked`, in parts. */
  chunkedParts(): Iterable<Buffer>;
}

/** Chunked bodies of the common starts, by their length. */
const chunkedStarts = new Map<number, Buffer>();

/**
 * Makes contents of one size that differ only in their last bytes. So any number of them needs the memory of
 * one, and each hash continues that of the common start, which takes microseconds.
 */
export class ContentMaker {
  private readonly shared: Buffer;
  private readonly sharedHash: Hash;

  constructor(private readonly sizeBytes: number) {
    if (sizeBytes < TAIL_BYTES) throw new Error(`a unique content has at least ${TAIL_BYTES} bytes`);
    this.shared = baseOf(sizeBytes).subarray(0, sizeBytes - TAIL_BYTES);
    this.sharedHash = createHash('sha256').update(this.shared);
  }

  /** Makes the bytes of chunked bodies, all but their ends. Call it before the measurement. */
  prepareChunked(): void {
    this.chunkedStart();
  }

  make(label: string): Content {
    const { shared, sizeBytes } = this;
    // Also random, so that the tail does not differ from the rest.
    const tail = createHash('sha512').update(label).digest().subarray(0, TAIL_BYTES);
    const digest = `sha256:${this.sharedHash.copy().update(tail).digest('hex')}`;
    return {
      digest,
      sizeBytes,
      *parts(from, to) {
        yield* partsOf(shared.subarray(from, Math.min(to, shared.length)));
        if (to > shared.length) yield tail.subarray(Math.max(0, from - shared.length), to - shared.length);
      },
      chunkedParts: () => this.chunkedParts(tail),
    };
  }

  private *chunkedParts(tail: Buffer): Iterable<Buffer> {
    yield* partsOf(this.chunkedStart());
    const rest = Buffer.concat([this.shared.subarray(this.wholeChunksBytes), tail]);
    yield Buffer.concat([inChunks(rest), LAST_CHUNK]);
  }

  /** The chunks that have no byte of a tail. */
  private chunkedStart(): Buffer {
    const length = this.wholeChunksBytes;
    const start = chunkedStarts.get(length) ?? inChunks(this.shared.subarray(0, length));
    chunkedStarts.set(length, start);
    return start;
  }

  private get wholeChunksBytes(): number {
    return this.shared.length - (this.shared.length % HTTP_CHUNK_BYTES);
  }
}

function* partsOf(bytes: Buffer): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) yield bytes.subarray(at, at + PART_BYTES);
}

/** A content in one buffer, for example a manifest. */
export function contentOf(bytes: Buffer): Content {
  return {
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    sizeBytes: bytes.length,
    parts: (from, to) => [bytes.subarray(from, to)],
    chunkedParts: () => [inChunks(bytes), LAST_CHUNK],
  };
}
