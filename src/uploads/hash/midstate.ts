/**
 * The portable state of a hash function, as stored in the upload's row. Later releases must be able to read
 * it. Its JSON:
 *
 * ```
 *   { "algorithm":    "sha256" | "sha512",
 *     "words":        "6a09e667bb67ae85…",        H0 H1 … H7, each big-endian, lower-case hex
 *     "lengthBytes":  1048593,                    all bytes so far
 *     "partialBlock": "AAECAwQFBgcICQoLDA0ODxA=" } the last lengthBytes mod block bytes
 *
 *   message   |-- block --|-- block --| … |-- block --|-- partial --:
 *             '------- compressed into `words` -------'
 *             '--------------------- `lengthBytes` -----------------'
 * ```
 *
 * | field | sha256 | sha512 | FIPS 180-4 |
 * |---|---|---|---|
 * | `words` | 64 hex digits (8 × 32 bit) | 128 hex digits (8 × 64 bit) | H(i) of 6.2.2, 6.4.2 |
 * | `lengthBytes` | 0 … 2^53 - 1 | 0 … 2^53 - 1 | l / 8 of 5.1.1 and 5.1.2 |
 * | `partialBlock` | base64 of 0 … 63 bytes | base64 of 0 … 127 bytes | the head of the block that 5.1 pads |
 *
 * The base64 is RFC 4648 section 4, padded and canonical. No other fields are allowed: this release must
 * refuse, not misread, what a later one adds. A midstate has up to 127 bytes of the content.
 */
import { parseDigestAlgorithm, type DigestAlgorithm } from '../../oci/digest.js';
import type { Midstate } from './hasher.js';
import { MidstateInvalidError } from './midstate.errors.js';

/** The sizes of FIPS 180-4 figure 1, and H(0) in the form of {@link Midstate.words}. */
export const HASH_PARAMETERS: Record<
  DigestAlgorithm,
  { readonly blockBytes: number; readonly wordBytes: number; readonly initialWords: string }
> = {
  sha256: {
    blockBytes: 64,
    wordBytes: 4,
    initialWords: '6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19',
  },
  sha512: {
    blockBytes: 128,
    wordBytes: 8,
    initialWords:
      '6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1' +
      '510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179',
  },
};

/** FIPS 180-4 section 6: both functions chain eight words. */
export const WORD_COUNT = 8;

const FIELDS = ['algorithm', 'words', 'lengthBytes', 'partialBlock'] as const;

/**
 * Checks a midstate from outside (a row's JSON, another implementation), so that an implementation can write
 * it into native memory. Only whether the words are the right ones can't be checked.
 *
 * @throws MidstateInvalidError
 */
export function parseMidstate(value: unknown): Midstate {
  const fields = recordOf(value);
  const algorithm = algorithmOf(fields['algorithm']);
  const { blockBytes, initialWords } = HASH_PARAMETERS[algorithm];
  const { words, lengthBytes, partialBlock } = fields;
  if (typeof words !== 'string' || words.length !== initialWords.length || !/^[0-9a-f]+$/.test(words)) {
    throw new MidstateInvalidError(`expected words of ${initialWords.length} lower-case hex digits`);
  }
  if (typeof lengthBytes !== 'number' || !Number.isSafeInteger(lengthBytes) || lengthBytes < 0) {
    throw new MidstateInvalidError('expected lengthBytes to be a safe integer, 0 or more');
  }
  if (lengthBytes < blockBytes && words !== initialWords) {
    throw new MidstateInvalidError('expected the initial words, since no block is complete');
  }
  if (typeof partialBlock !== 'string' || partialBlock.length > 4 * Math.ceil(blockBytes / 3)) {
    throw new MidstateInvalidError('expected partialBlock to be base64 of less than a block');
  }
  const partial = Buffer.from(partialBlock, 'base64');
  if (partial.toString('base64') !== partialBlock || partial.length !== lengthBytes % blockBytes) {
    throw new MidstateInvalidError(
      `expected partialBlock to be base64 of lengthBytes mod ${blockBytes} bytes`,
    );
  }
  return { algorithm, words, lengthBytes, partialBlock };
}

/** The text of a midstate, as the module's comment draws it. */
export function serializeMidstate(midstate: Midstate): string {
  return JSON.stringify(midstate, [...FIELDS]);
}

/** @throws MidstateInvalidError if the text is not the JSON of a midstate. */
export function deserializeMidstate(text: string): Midstate {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MidstateInvalidError('expected JSON');
  }
  return parseMidstate(value);
}

/** The midstate before the first byte. */
export function initialMidstate(algorithm: DigestAlgorithm): Midstate {
  return { algorithm, words: HASH_PARAMETERS[algorithm].initialWords, lengthBytes: 0, partialBlock: '' };
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MidstateInvalidError('expected an object');
  }
  const known: readonly string[] = FIELDS;
  if (Object.keys(value).some((key) => !known.includes(key))) {
    throw new MidstateInvalidError(`expected only the fields ${FIELDS.join(', ')}`);
  }
  return { ...value };
}

function algorithmOf(value: unknown): DigestAlgorithm {
  try {
    return parseDigestAlgorithm(typeof value === 'string' ? value : '');
  } catch {
    throw new MidstateInvalidError('expected an algorithm that Berth knows');
  }
}
