import type { DigestAlgorithm } from '../../oci/digest.js';
import { HASH_PARAMETERS } from './midstate.js';

/** The byte order of words and counters in an implementation's memory. */
export type Endianness = 'BE' | 'LE';

/** Reads the eight words from an implementation's memory, as portable hex (see {@link Midstate.words}). */
export function readWords(algorithm: DigestAlgorithm, memory: Uint8Array, endianness: Endianness): string {
  const words = Buffer.from(memory);
  return (endianness === 'LE' ? swapWords(algorithm, words) : words).toString('hex');
}

/** The reverse of {@link readWords}: returns the bytes for an implementation's memory. */
export function writeWords(algorithm: DigestAlgorithm, hex: string, endianness: Endianness): Buffer {
  const words = Buffer.from(hex, 'hex');
  return endianness === 'LE' ? swapWords(algorithm, words) : words;
}

/**
 * A byte count read from memory as a number.
 * @throws RangeError from 2^53 on, where numbers are no longer exact.
 */
export function exactLength(bytes: bigint): number {
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RangeError('a hash of more than 2^53 - 1 bytes has no midstate');
  }
  return Number(bytes);
}

function swapWords(algorithm: DigestAlgorithm, words: Buffer): Buffer {
  return HASH_PARAMETERS[algorithm].wordBytes === 4 ? words.swap32() : words.swap64();
}
