import { describe, expect, it } from '@jest/globals';
import { parseDigest } from './digest.js';
import { DigestInvalidError } from './errors.js';
import { isTarsum, parseBlobDigest } from './tarsum.js';

const HEX = '0a'.repeat(32);

describe('parseBlobDigest', () => {
  it.each([`tarsum+sha256:${HEX}`, `tarsum.v1+sha256:${HEX}`])('parses %s', (text) => {
    expect(parseBlobDigest(text)).toBe(text);
    expect(isTarsum(parseBlobDigest(text))).toBe(true);
  });

  it.each([`tarsum sha256:${HEX}`, `tarsum.v1 sha256:${HEX}`])('reads the space of %s as +', (text) => {
    expect(parseBlobDigest(text)).toBe(text.replace(' ', '+'));
  });

  it.each([`sha256:${HEX}`, `sha512:${HEX}${HEX}`])('parses %s, which is no tarsum', (text) => {
    expect(parseBlobDigest(text)).toBe(text);
    expect(isTarsum(parseBlobDigest(text))).toBe(false);
  });

  it.each([
    'tarsum',
    'tarsum:',
    `tarsum:${HEX}`,
    `tarsum.v1:${HEX}`,
    `tarsum.dev+sha256:${HEX}`,
    `tarsum.v2+sha256:${HEX}`,
    `tarsum.v1+sha512:${HEX}${HEX}`,
    `tarsum.v1+md5:${HEX}`,
    `tarsum.v1  sha256:${HEX}`,
    `tarsum.v1-sha256:${HEX}`,
    `TARSUM.v1+sha256:${HEX}`,
    'tarsum.v1+sha256:',
    `tarsum.v1+sha256:${HEX.toUpperCase()}`,
    `tarsum.v1+sha256:${HEX}0`,
    `tarsum.v1+sha256:${HEX}\n`,
    'md5:00',
    '',
  ])('refuses %j', (text) => {
    expect(() => parseBlobDigest(text)).toThrow(DigestInvalidError);
  });

  it('is not how manifests are named', () => {
    expect(() => parseDigest(`tarsum.v1+sha256:${HEX}`)).toThrow(DigestInvalidError);
  });
});
