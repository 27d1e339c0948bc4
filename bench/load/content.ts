import { createCipheriv, createHash, type Hash } from 'node:crypto';

const TAIL_BYTES = 64;
/** What one `write` is given: the socket's own buffer is less, so that backpressure works within a part. */
const PART_BYTES = 1024 * 1024;

let base = Buffer.alloc(0);

/** Bytes that can't be compressed, the same in every run. Grows to what is asked for. */
function baseOf(sizeBytes: number): Buffer {
  if (base.length < sizeBytes) {
    base = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'b'), Buffer.alloc(16)).update(
      Buffer.alloc(sizeBytes),
    );
  }
  return base;
}

/** A blob to be pushed: all but its last bytes lie in memory that all contents share. */
export interface Content {
  readonly digest: string;
  readonly sizeBytes: number;
  /** The bytes of a span, in parts, not copied. */
  parts(from: number, to: number): Iterable<Buffer>;
}

/**
 * Makes contents of one size that differ in their end: so that any number of them needs the memory of one, and that
 * the hash of each takes up from that of the common beginning, which costs microseconds, whatever the size.
 */
export class ContentMaker {
  private readonly shared: Buffer;
  private readonly sharedHash: Hash;

  constructor(private readonly sizeBytes: number) {
    if (sizeBytes < TAIL_BYTES) throw new Error(`a unique content has ${TAIL_BYTES} bytes or more`);
    this.shared = baseOf(sizeBytes).subarray(0, sizeBytes - TAIL_BYTES);
    this.sharedHash = createHash('sha256').update(this.shared);
  }

  make(label: string): Content {
    const { shared, sizeBytes } = this;
    // Random-looking, too: a tail of text would be all that could be told apart.
    const tail = createHash('sha512').update(label).digest().subarray(0, TAIL_BYTES);
    const digest = `sha256:${this.sharedHash.copy().update(tail).digest('hex')}`;
    return {
      digest,
      sizeBytes,
      *parts(from, to) {
        const end = Math.min(to, shared.length);
        for (let at = from; at < end; at += PART_BYTES)
          yield shared.subarray(at, Math.min(at + PART_BYTES, end));
        if (to > shared.length) yield tail.subarray(Math.max(0, from - shared.length), to - shared.length);
      },
    };
  }
}

/** A content that is one piece of memory, such as a manifest. */
export function contentOf(bytes: Buffer): Content {
  return {
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    sizeBytes: bytes.length,
    parts: (from, to) => [bytes.subarray(from, to)],
  };
}
