import { describe, expect, it } from '@jest/globals';
import { refusal } from '../../support/registry-client.js';
import { DIGEST, useStoredContent } from './stored-content.js';

describe('bad input: names and digests', () => {
  const registry = useStoredContent();
  const { name, raw } = registry;
  it.each(['A', 'a/B', '-a', 'a-', 'a..b', 'a___b', '_a', 'a/', 'a//b', 'a.-b', 'a b', 'ä', 'a:b', 'a@b'])(
    '32. the name "%s" is NAME_INVALID',
    async (bad) => {
      for (const path of ['manifests/latest', `blobs/${DIGEST}`, 'tags/list', `referrers/${DIGEST}`]) {
        const response = await raw('GET', `/v2/${encodeURI(bad)}/${path}`);
        expect(await refusal(response)).toBe('400 NAME_INVALID');
      }
    },
  );

  it.each([
    ['md5', 'md5:d41d8cd98f00b204e9800998ecf8427e'],
    ['sha1', 'sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['sha384', `sha384:${'0'.repeat(96)}`],
    ['blake3', `blake3:${'0'.repeat(64)}`],
    ['upper-case hex', DIGEST.replace(/[a-f]/g, (digit) => digit.toUpperCase())],
    ['an upper-case algorithm', DIGEST.replace('sha256', 'SHA256')],
    ['the length of another', `sha512:${'0'.repeat(64)}`],
    ['a line end', `${DIGEST}%0a`],
  ])('9. a digest of %s is DIGEST_INVALID everywhere', async (_, digest) => {
    const uploads = `/v2/${name}/blobs/uploads/`;
    const asked = [
      ['GET', `/v2/${name}/blobs/${digest}`],
      ['DELETE', `/v2/${name}/blobs/${digest}`],
      ['GET', `/v2/${name}/manifests/${digest}`],
      ['PUT', `/v2/${name}/manifests/${digest}`],
      ['DELETE', `/v2/${name}/manifests/${digest}`],
      ['GET', `/v2/${name}/referrers/${digest}`],
      ['POST', `${uploads}?digest=${digest}`],
      ['PUT', `${registry.session}?digest=${digest}`],
    ] as const;
    for (const [method, path] of asked) {
      expect(await refusal(await raw(method, path, [['Content-Length', 0]]))).toBe('400 DIGEST_INVALID');
    }
  });
});
