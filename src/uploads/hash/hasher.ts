import type { Digest, DigestAlgorithm } from '../../oci/digest.js';

/**
 * A hash function stopped between two bytes, in a form that outlives the process, the machine and the library.
 * It is the chaining value of FIPS 180-4 section 6 with what is needed to go on: JSON, stored in the upload's row.
 */
export interface Midstate {
  readonly algorithm: DigestAlgorithm;
  /** The eight working words H0…H7 as big-endian hex: 64 digits for sha256, 128 for sha512. */
  readonly words: string;
  /** Bytes hashed so far, the partial block included. */
  readonly lengthBytes: number;
  /** The bytes of the last, unfinished block: base64 of `lengthBytes mod blockSize` bytes (block: 64 or 128 bytes). */
  readonly partialBlock: string;
}

/** A running hash. Not to be used by two callers at once: `update` must have settled before the next call. */
export interface Hasher {
  readonly algorithm: DigestAlgorithm;
  /** Adds bytes, off the event loop where the implementation can. `chunk` must not change until it settles. */
  update(chunk: Uint8Array): Promise<void>;
  /** The state after the bytes so far; the hasher can go on. */
  midstate(): Midstate;
  /** The digest of the bytes so far; the hasher can go on (the final block is computed on a copy of the state). */
  digest(): Digest;
  /** Frees what the hasher holds. Calling it twice does nothing. */
  dispose(): void;
}

/** Makes hashers of one implementation. */
export interface HasherFactory {
  /** `openssl` or `wasm`: shown in the overview of the admin API. */
  readonly implementation: string;
  create(algorithm: DigestAlgorithm): Hasher;
  /** @throws Error when the midstate is malformed. */
  resume(midstate: Midstate): Hasher;
}

/** DI token of the {@link HasherFactory}. */
export const HASHER_FACTORY = Symbol('HASHER_FACTORY');
