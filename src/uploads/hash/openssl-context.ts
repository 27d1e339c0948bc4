/**
 * The contexts of OpenSSL's low-level SHA-2 functions, as `openssl/sha.h` declares them (1.0 to 3.x; they
 * can't change, because applications allocate them). Words and counters have the machine's byte order, the
 * block is raw bytes.
 *
 * ```
 *   SHA256_CTX (112 bytes)                      SHA512_CTX (216 bytes)
 *   0    h[8]   32 bit each: H0…H7              0    h[8]   64 bit each: H0…H7
 *   32   Nl     32 bit: length in BITS, low     64   Nl     64 bit: length in BITS, low
 *   36   Nh     32 bit: its high half           72   Nh     64 bit: its high half
 *   40   data   64 bytes: partial block         80   u      128 bytes: partial block
 *   104  num    32 bit: bytes in `data`         208  num    32 bit: bytes in `u`
 *   108  md_len 32 bit: set by Init             212  md_len 32 bit: set by Init
 * ```
 */
import type { DigestAlgorithm } from '../../oci/digest.js';
import { exactLength, readWords, writeWords, type Endianness } from './hash-words.js';
import type { Midstate } from './hasher.js';
import { HASH_PARAMETERS, WORD_COUNT } from './midstate.js';

/** The size of each context. */
export const CONTEXT_BYTES: Record<DigestAlgorithm, number> = { sha256: 112, sha512: 216 };

/** Reads the portable midstate from a context. */
export function readContext(algorithm: DigestAlgorithm, context: Buffer, endianness: Endianness): Midstate {
  const at = offsets(algorithm);
  const view = viewOf(context);
  const little = endianness === 'LE';
  const bits =
    algorithm === 'sha256'
      ? (BigInt(view.getUint32(at.high, little)) << 32n) | BigInt(view.getUint32(at.low, little))
      : (view.getBigUint64(at.high, little) << 64n) | view.getBigUint64(at.low, little);
  const lengthBytes = exactLength(bits / 8n);
  const partialBytes = lengthBytes % HASH_PARAMETERS[algorithm].blockBytes;
  if (view.getUint32(at.partialLength, little) !== partialBytes) {
    throw new Error("OpenSSL's hash context has an unknown layout");
  }
  return {
    algorithm,
    words: readWords(algorithm, context.subarray(0, at.low), endianness),
    lengthBytes,
    partialBlock: context.subarray(at.partial, at.partial + partialBytes).toString('base64'),
  };
}

/** Writes a valid midstate (see {@link parseMidstate}) into a context that the library has initialised. */
export function writeContext(midstate: Midstate, context: Buffer, endianness: Endianness): void {
  const at = offsets(midstate.algorithm);
  const view = viewOf(context);
  const little = endianness === 'LE';
  const bits = BigInt(midstate.lengthBytes) * 8n;
  writeWords(midstate.algorithm, midstate.words, endianness).copy(context, 0);
  if (midstate.algorithm === 'sha256') {
    view.setUint32(at.low, Number(bits & 0xffff_ffffn), little);
    view.setUint32(at.high, Number(bits >> 32n), little);
  } else {
    view.setBigUint64(at.low, bits, little);
    view.setBigUint64(at.high, 0n, little);
  }
  context.fill(0, at.partial, at.partialLength);
  const partial = Buffer.from(midstate.partialBlock, 'base64');
  partial.copy(context, at.partial);
  view.setUint32(at.partialLength, partial.length, little);
}

function offsets(algorithm: DigestAlgorithm) {
  const { wordBytes, blockBytes } = HASH_PARAMETERS[algorithm];
  const low = WORD_COUNT * wordBytes;
  const high = low + wordBytes;
  const partial = high + wordBytes;
  return { low, high, partial, partialLength: partial + blockBytes };
}

function viewOf(context: Buffer): DataView {
  return new DataView(context.buffer, context.byteOffset, context.byteLength);
}
