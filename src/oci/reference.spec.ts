import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DigestInvalidError, RegistryError, TagInvalidError } from './errors.js';
import { formatReference, parseReference } from './reference.js';
import { parseTag } from './tag.js';

const SHA256 = `sha256:${'0a'.repeat(32)}`;
const SHA512 = `sha512:${'0a'.repeat(64)}`;

describe('parseTag', () => {
  it.each(['latest', '1.2.3', '_', 'A-Z_', '0', 'a'.repeat(128)])('accepts %j', (tag) => {
    expect(parseTag(tag)).toBe(tag);
  });

  it.each(['', '.a', '-a', 'a/b', 'a b', 'a+b', 'ä', 'a\n', 'a'.repeat(129)])('refuses %j', (tag) => {
    expect(() => parseTag(tag)).toThrow(TagInvalidError);
  });

  it('throws MANIFEST_INVALID and repeats no more than the length of a tag', () => {
    expect(() => parseTag('!'.repeat(9_000))).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', detail: { tag: '!'.repeat(128) } }),
    );
  });
});

describe('parseReference', () => {
  it('parses a text without a colon as a tag', () => {
    expect(parseReference('latest')).toEqual({ kind: 'tag', tag: 'latest' });
    expect(parseReference('sha256')).toEqual({ kind: 'tag', tag: 'sha256' });
  });

  it.each([SHA256, SHA512])('parses %s as a digest', (digest) => {
    expect(parseReference(digest)).toEqual({ kind: 'digest', digest });
  });

  it.each(['sha256:baddigeststring', 'md5:00', ':', 'sha256:', SHA256.toUpperCase(), `${SHA256}0`])(
    'refuses %j as a digest',
    (text) => {
      expect(() => parseReference(text)).toThrow(DigestInvalidError);
    },
  );

  it('names the tag and the digest if both are given', () => {
    expect(() => parseReference(`v1@${SHA256}`)).toThrow(
      expect.objectContaining({
        code: 'DIGEST_INVALID',
        message: `expected a tag or a digest, not both: "v1" or "${SHA256}"`,
      }),
    );
  });

  it('formats any text that it parses unchanged, or throws a RegistryError', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[\w.-]{1,140}$/), fc.constant(SHA512));
    fc.assert(
      fc.property(text, (value) => {
        try {
          expect(formatReference(parseReference(value))).toBe(value);
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError);
        }
      }),
    );
  });
});
