import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  DIGEST_ALGORITHMS,
  digestAlgorithm,
  digestHex,
  digestOf,
  formatDigest,
  parseDigest,
  parseDigestAlgorithm,
} from './digest.js';
import { DigestInvalidError } from './errors.js';

const EMPTY_SHA256 = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('parseDigest', () => {
  it('parses a digest and formats it again', () => {
    fc.assert(
      fc.property(fc.constantFrom(...DIGEST_ALGORITHMS), fc.uint8Array(), (algorithm, bytes) => {
        const digest = digestOf(algorithm, bytes);
        expect(parseDigest(digest)).toBe(digest);
        expect(digestAlgorithm(digest)).toBe(algorithm);
        expect(formatDigest(algorithm, Buffer.from(digestHex(digest), 'hex'))).toBe(digest);
      }),
    );
  });

  it('computes the digest of no bytes', () => {
    expect(digestOf('sha256', new Uint8Array())).toBe(EMPTY_SHA256);
  });

  it.each([
    '',
    ':',
    'sha256',
    'sha256:',
    'sha256:baddigeststring',
    EMPTY_SHA256.toUpperCase(),
    EMPTY_SHA256.slice(0, -1),
    `${EMPTY_SHA256}0`,
    `${EMPTY_SHA256}\n`,
    ` ${EMPTY_SHA256}`,
    EMPTY_SHA256.replace('e3', 'E3'),
    EMPTY_SHA256.replace('sha256', 'sha512'),
    EMPTY_SHA256.replace('sha256', 'constructor'),
    'md5:d41d8cd98f00b204e9800998ecf8427e',
  ])('refuses %j', (text) => {
    expect(() => parseDigest(text)).toThrow(DigestInvalidError);
  });

  it('says what is expected: a digest, or an algorithm', () => {
    expect(() => parseDigest('md5:00')).toThrow('expected a digest of sha256 or sha512');
    expect(() => parseDigestAlgorithm('md5')).toThrow('expected the digest algorithm sha256 or sha512');
  });

  it('throws only DIGEST_INVALID for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseDigest(text)).toThrow(DigestInvalidError);
        expect(() => parseDigest(`sha256:${text}`)).toThrow(DigestInvalidError);
      }),
    );
  });
});
