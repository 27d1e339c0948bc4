import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyText } from '../../test/support/any-text.js';
import { ManifestInvalidError } from './errors.js';
import {
  DOCKER_MANIFEST_LIST,
  isIndexMediaType,
  isNonDistributable,
  MANIFEST_MEDIA_TYPES,
  OCI_INDEX,
  OCI_MANIFEST,
  parseMediaType,
  toManifestMediaType,
} from './media-types.js';

describe('parseMediaType', () => {
  it.each([
    [OCI_MANIFEST, OCI_MANIFEST],
    [`${OCI_MANIFEST}; charset=utf-8`, OCI_MANIFEST],
    [` ${OCI_MANIFEST} ;a="b;c"`, OCI_MANIFEST],
    ['Application/JSON', 'Application/JSON'],
    [`${'a'.repeat(127)}/${'b'.repeat(127)}`, `${'a'.repeat(127)}/${'b'.repeat(127)}`],
  ])('reads %j', (header, mediaType) => {
    expect(parseMediaType(header)).toBe(mediaType);
  });

  it.each([
    '',
    ';',
    'json',
    'a/',
    '/b',
    'a/b/c',
    'a b/c',
    '*/*',
    '.a/b',
    'a/b\r\nX: y',
    `a/${'b'.repeat(128)}`,
  ])('refuses %j', (header) => {
    expect(() => parseMediaType(header)).toThrow(ManifestInvalidError);
  });

  it('returns text that is safe in a header, or throws ManifestInvalidError', () => {
    fc.assert(
      fc.property(anyText(), fc.string(), (a, b) => {
        try {
          expect(parseMediaType(`${a}/${b}`)).toMatch(/^[!-~]+$/);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifestInvalidError);
        }
      }),
    );
  });
});

describe('the manifest types', () => {
  it.each(MANIFEST_MEDIA_TYPES)('has %s, whatever its case', (mediaType) => {
    expect(toManifestMediaType(mediaType.toUpperCase())).toBe(mediaType);
  });

  it('has no others', () => {
    expect(toManifestMediaType('application/json')).toBeUndefined();
    expect(toManifestMediaType('constructor')).toBeUndefined();
  });

  it('distinguishes indexes from images', () => {
    expect(MANIFEST_MEDIA_TYPES.filter(isIndexMediaType)).toEqual([OCI_INDEX, DOCKER_MANIFEST_LIST]);
  });

  it('knows the layers that may be missing', () => {
    expect(isNonDistributable('application/vnd.oci.image.layer.nondistributable.v1.tar+zstd')).toBe(true);
    expect(isNonDistributable('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')).toBe(true);
    expect(isNonDistributable('application/vnd.oci.image.layer.v1.tar+gzip')).toBe(false);
  });
});
