/**
 * What hash-wasm 4's `save()` returns for its SHA-2 functions (`struct sha256_ctx`, `struct sha512_ctx` in
 * its sha256.c and sha512.c): WebAssembly memory, so it is always little-endian.
 *
 * ```
 *   sha256 (4 + 112 bytes)                       sha512 (4 + 208 bytes)
 *   0    mark of the wasm build, which load() checks
 *   4    message       64 bytes: partial block   4    message       128 bytes: partial block
 *   68   length        64 bit: length in bytes   132  length        64 bit: length in bytes
 *   76   hash[8]       32 bit each: H0…H7        140  hash[8]       64 bit each: H0…H7
 *   108  digest_length 32 bit, then padding      204  digest_length 32 bit, then padding
 * ```
 */
import type { DigestAlgorithm } from '../../oci/digest.js';
import { exactLength, readWords, writeWords } from './hash-words.js';
import type { Midstate } from './hasher.js';
import { HASH_PARAMETERS, WORD_COUNT } from './midstate.js';

/** The size of what `save()` must return. With another size, the layout is unknown. */
export const SAVED_BYTES: Record<DigestAlgorithm, number> = { sha256: 116, sha512: 212 };

const MARK_BYTES = 4;

/** Reads the portable midstate from a saved state. */
export function readSaved(algorithm: DigestAlgorithm, saved: Uint8Array): Midstate {
  const at = offsets(algorithm);
  const lengthBytes = exactLength(viewOf(saved).getBigUint64(at.length, true));
  const partialBytes = lengthBytes % HASH_PARAMETERS[algorithm].blockBytes;
  return {
    algorithm,
    words: readWords(algorithm, saved.subarray(at.words, at.end), 'LE'),
    lengthBytes,
    partialBlock: Buffer.from(saved.subarray(MARK_BYTES, MARK_BYTES + partialBytes)).toString('base64'),
  };
}

/**
 * Returns the saved state for a valid midstate (see {@link parseMidstate}), from a template of the same wasm
 * build.
 */
export function writeSaved(midstate: Midstate, template: Uint8Array): Uint8Array {
  const at = offsets(midstate.algorithm);
  const saved = Uint8Array.from(template);
  saved.fill(0, MARK_BYTES, at.length);
  saved.set(Buffer.from(midstate.partialBlock, 'base64'), MARK_BYTES);
  viewOf(saved).setBigUint64(at.length, BigInt(midstate.lengthBytes), true);
  saved.set(writeWords(midstate.algorithm, midstate.words, 'LE'), at.words);
  return saved;
}

function offsets(algorithm: DigestAlgorithm) {
  const { wordBytes, blockBytes } = HASH_PARAMETERS[algorithm];
  const length = MARK_BYTES + blockBytes;
  const words = length + 8;
  return { length, words, end: words + WORD_COUNT * wordBytes };
}

function viewOf(saved: Uint8Array): DataView {
  return new DataView(saved.buffer, saved.byteOffset, saved.byteLength);
}
