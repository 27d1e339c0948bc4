import { createCipheriv, createHash, type Hash } from 'node:crypto';

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
}

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

  make(label: string): Content {
    const { shared, sizeBytes } = this;
    // Also random, so that the tail does not differ from the rest.
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

/** A content in one buffer, for example a manifest. */
export function contentOf(bytes: Buffer): Content {
  return {
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    sizeBytes: bytes.length,
    parts: (from, to) => [bytes.subarray(from, to)],
  };
}
