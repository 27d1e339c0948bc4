import type { Digest, DigestAlgorithm } from '../../oci/digest.js';

/**
 * The state of a hash function between two bytes, as JSON that is independent of process, machine and
 * library. It has the chaining value of FIPS 180-4 section 6 and what is needed to continue. Stored in the
 * upload's row.
 */
export interface Midstate {
  readonly algorithm: DigestAlgorithm;
  /** The eight working words H0…H7 as big-endian hex: 64 digits for sha256, 128 for sha512. */
  readonly words: string;
  /** Bytes hashed so far, the partial block included. */
  readonly lengthBytes: number;
  /**
   * The bytes of the last, incomplete block: base64 of `lengthBytes mod blockSize` bytes (block: 64 or 128
   * bytes).
   */
  readonly partialBlock: string;
}

/** A running hash for one caller at a time: `update` must settle before the next call. */
export interface Hasher {
  readonly algorithm: DigestAlgorithm;
  /**
   * Adds bytes, on another thread if the implementation can. `chunk` must not change until the promise
   * settles.
   */
  update(chunk: Uint8Array): Promise<void>;
  /** The state after the bytes so far. The hasher can continue. */
  midstate(): Midstate;
  /** The digest of the bytes so far, computed on a copy of the state. The hasher can continue. */
  digest(): Digest;
  /** Frees the hasher's memory. A second call does nothing. */
  dispose(): void;
}

/** Creates hashers of one implementation. */
export interface HasherFactory {
  /** `openssl` or `wasm`: shown in the overview of the admin API. */
  readonly implementation: string;
  create(algorithm: DigestAlgorithm): Hasher;
  /** @throws Error when the midstate is malformed. */
  resume(midstate: Midstate): Hasher;
}

/** DI token of the {@link HasherFactory}. */
export const HASHER_FACTORY = Symbol('HASHER_FACTORY');
