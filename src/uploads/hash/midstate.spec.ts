import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { referenceDigest, referenceWords } from '../../../test/support/sha2-reference.js';
import { DIGEST_ALGORITHMS } from '../../oci/digest.js';
import { FAR_BYTES, KNOWN, pattern } from './hasher-verification.js';
import {
  deserializeMidstate,
  HASH_PARAMETERS,
  initialMidstate,
  parseMidstate,
  serializeMidstate,
} from './midstate.js';
import { MidstateInvalidError } from './midstate.errors.js';

const WORDS = 'ab'.repeat(32);
const good = { algorithm: 'sha256', words: WORDS, lengthBytes: 64 + 3, partialBlock: 'YWJj' };

describe('midstate', () => {
  it('accepts a valid midstate and copies it', () => {
    const parsed = parseMidstate(good);
    expect(parsed).toEqual(good);
    expect(parsed).not.toBe(good);
  });

  it('serialises to the documented text', () => {
    expect(serializeMidstate(parseMidstate(good))).toBe(
      `{"algorithm":"sha256","words":"${WORDS}","lengthBytes":67,"partialBlock":"YWJj"}`,
    );
  });

  it('writes its fields in a fixed order', () => {
    const shuffled = parseMidstate(Object.fromEntries(Object.entries(good).reverse()));
    expect(serializeMidstate(shuffled)).toBe(serializeMidstate(parseMidstate(good)));
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['an array', [good]],
    ['text', JSON.stringify(good)],
    ['an unknown algorithm', { ...good, algorithm: 'sha1' }],
    ['an inherited property as algorithm', { ...good, algorithm: 'constructor' }],
    ['no algorithm', { ...good, algorithm: undefined }],
    ['short words', { ...good, words: WORDS.slice(1) }],
    ['long words', { ...good, words: `${WORDS}00` }],
    ['upper-case words', { ...good, words: WORDS.toUpperCase() }],
    ['words that are not hex', { ...good, words: `${WORDS.slice(1)}g` }],
    ['words with a line end', { ...good, words: `${WORDS.slice(1)}\n` }],
    ["the other algorithm's words", { ...good, words: WORDS + WORDS }],
    ['words that are no text', { ...good, words: 7 }],
    ['a negative length', { ...good, lengthBytes: -61 }],
    ['a fractional length', { ...good, lengthBytes: 67.5 }],
    ['an infinite length', { ...good, lengthBytes: Infinity }],
    ['a length past 2^53', { ...good, lengthBytes: 2 ** 53, partialBlock: '' }],
    ['a length as text', { ...good, lengthBytes: '67' }],
    ['a length as bigint', { ...good, lengthBytes: 67n }],
    ['other words before the first block', { ...good, lengthBytes: 3 }],
    ['a partial block that is too short', { ...good, partialBlock: 'YWI=' }],
    ['a partial block that is too long', { ...good, partialBlock: 'YWJjZA==' }],
    [
      'a whole block as partial',
      { ...good, lengthBytes: 64, partialBlock: Buffer.alloc(64).toString('base64') },
    ],
    ['an unpadded partial block', { ...good, lengthBytes: 66, partialBlock: 'YWI' }],
    ['a partial block in base64url', { ...good, partialBlock: '-_-_' }],
    ['a partial block with stray bits', { ...good, lengthBytes: 66, partialBlock: 'YWJ=' }],
    ['a partial block with blanks', { ...good, partialBlock: 'YWJj ' }],
    ['a huge partial block', { ...good, partialBlock: 'A'.repeat(1 << 20) }],
    ['no partial block', { ...good, partialBlock: undefined }],
    ['one more field', { ...good, version: 2 }],
  ])('refuses %s', (_title, value) => {
    expect(() => parseMidstate(value)).toThrow(MidstateInvalidError);
  });

  it('refuses text that is not JSON without quoting it', () => {
    expect(() => deserializeMidstate('{secret')).toThrow(/^malformed hash midstate: expected JSON$/);
  });

  it('is the same after serialisation, for any content', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DIGEST_ALGORITHMS),
        fc.nat({ max: 2 ** 40 }),
        fc.uint8Array({ minLength: 128, maxLength: 128 }),
        (algorithm, blocks, bytes) => {
          const { blockBytes, initialWords } = HASH_PARAMETERS[algorithm];
          const partial = Buffer.from(bytes.subarray(0, (bytes[0] ?? 0) % blockBytes));
          const midstate = {
            algorithm,
            words: Buffer.from(bytes).toString('hex').slice(0, initialWords.length),
            lengthBytes: (blocks + 1) * blockBytes + partial.length,
            partialBlock: partial.toString('base64'),
          };
          expect(deserializeMidstate(serializeMidstate(midstate))).toEqual(midstate);
        },
      ),
    );
  });

  it.each(DIGEST_ALGORITHMS)('%s starts with the words of FIPS 180-4', (algorithm) => {
    expect(initialMidstate(algorithm).words).toBe(referenceWords(algorithm, Buffer.alloc(0)));
    expect(parseMidstate(initialMidstate(algorithm))).toEqual(initialMidstate(algorithm));
  });

  it.each(DIGEST_ALGORITHMS)('%s: the self-test expects the values of FIPS 180-4', (algorithm) => {
    const { blockBytes } = HASH_PARAMETERS[algorithm];
    expect(KNOWN[algorithm].words).toBe(referenceWords(algorithm, pattern(blockBytes)));
    expect(FAR_BYTES % blockBytes).toBe(17);
    const tail = Buffer.concat([pattern(17), pattern(3)]);
    const far = referenceDigest(algorithm, tail, KNOWN[algorithm].words, FAR_BYTES + 3);
    expect(KNOWN[algorithm].farDigest).toBe(far);
  });
});
