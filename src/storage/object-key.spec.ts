import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { posix } from 'node:path';
import { digestOf } from '../oci/digest.js';
import { blobObjectKey, parseKeyPrefix, parseKeySegment, parseObjectKey } from './object-key.js';
import { InvalidObjectKeyError } from './storage.errors.js';

describe('object keys', () => {
  it('never leave the root', () => {
    const text = fc
      .array(fc.constantFrom('..', '.', '/', '\\', '\0', '%2e', 'a', '-', '_', '\u2024', '~', ' '), {
        maxLength: 8,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (candidate) => {
        try {
          const key = parseObjectKey(candidate);
          expect(posix.join('/root', key)).toBe(`/root/${candidate}`);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidObjectKeyError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('contain the digest', () => {
    const digest = digestOf('sha256', Buffer.from('x'));
    expect(blobObjectKey(digest, 'id-1')).toBe(`blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/id-1`);
    expect(() => blobObjectKey(digest, '../x')).toThrow(InvalidObjectKeyError);
  });

  it.each(['', 'a', 'a/', 'a/b', 'a/b/'])('begin with %j', (prefix) => {
    expect(parseKeyPrefix(prefix)).toBe(prefix);
  });

  it.each(['/', '//', 'a//', '/a', '../', 'a/../', '..'])('do not begin with %j', (prefix) => {
    expect(() => parseKeyPrefix(prefix)).toThrow(InvalidObjectKeyError);
  });

  it('have upload ids of at most 128 characters', () => {
    expect(parseKeySegment('a'.repeat(128))).toHaveLength(128);
    expect(() => parseKeySegment('a'.repeat(129))).toThrow(InvalidObjectKeyError);
    expect(() => parseKeySegment('a/b')).toThrow(InvalidObjectKeyError);
  });
});
