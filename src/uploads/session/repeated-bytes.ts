import { repeatedBytes } from '../../observability/metrics/upload.metrics.js';
import type { Digest } from '../../oci/digest.js';
import { digestsOf } from '../hash/digests-of.js';
import type { Hasher, HasherFactory, Midstate } from '../hash/hasher.js';
import { UploadOffsetError } from '../upload.errors.js';
import { canonicalMidstate } from './body-start.js';
import type { UploadSession } from './upload-session.js';

/**
 * The beginning of a body that the session already has, because its client repeats a request whose response
 * was lost. These bytes are hashed instead of written. What follows them may be appended only if they are the
 * session's own bytes.
 *
 *     session   |───────────────────────|  offset
 *     body      :       |───────────────┼──────────|
 *                     start   compared    appended
 */
export class RepeatedBytes {
  private remaining: number;
  private receivedBytes = 0;
  /** Undefined if there is nothing to compare. */
  private readonly hasher: Hasher | undefined;

  /** @param start the state of the canonical hash where the body begins. */
  constructor(
    private readonly session: UploadSession,
    private readonly start: Midstate,
    private readonly hashers: HasherFactory,
  ) {
    this.remaining = session.offsetBytes - start.lengthBytes;
    if (this.remaining > 0) this.hasher = hashers.resume(start);
  }

  /**
   * Returns the bytes of a chunk that the session does not have.
   *
   * @throws UploadOffsetError if the body differs from the session's bytes.
   */
  async skip(chunk: Uint8Array): Promise<Uint8Array> {
    if (this.hasher === undefined || this.remaining === 0) return chunk;
    const repeated = chunk.subarray(0, this.remaining);
    await this.hasher.update(repeated);
    this.receivedBytes += repeated.length;
    this.remaining -= repeated.length;
    if (this.remaining === 0 && this.hasher.digest() !== this.expected()) {
      throw this.refusal('and these bytes differ from the stored ones');
    }
    return chunk.subarray(repeated.length);
  }

  /**
   * Called at the end of the body. An empty body is fine anywhere: it appends nothing.
   *
   * @throws UploadOffsetError if the body ended within the session's bytes, so that they were not compared.
   */
  expectCompared(): void {
    if (this.remaining > 0 && this.receivedBytes > 0) {
      throw this.refusal('and this one ends before the stored bytes do');
    }
  }

  dispose(): void {
    this.hasher?.dispose();
    repeatedBytes.inc(this.receivedBytes);
  }

  private refusal(why: string): UploadOffsetError {
    return UploadOffsetError.atLocation(this.session, this.start.lengthBytes, why);
  }

  private expected(): Digest | undefined {
    return digestsOf([canonicalMidstate(this.session)], this.hashers)[0];
  }
}
