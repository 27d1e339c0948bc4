import { describe, expect, it } from '@jest/globals';
import { digestOf, OCI_MANIFEST, refusal } from '../../support/registry-client.js';
import { useStoredContent } from './stored-content.js';

describe('bad input: manifests', () => {
  const registry = useStoredContent();
  const { name, raw } = registry;
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 };
  const valid = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] };
  const put = (body: Uint8Array | string, type = OCI_MANIFEST) =>
    raw(
      'PUT',
      `/v2/${name}/manifests/stored`,
      [
        ['Content-Type', type],
        ['Content-Length', Buffer.byteLength(body)],
      ],
      body,
    );

  it.each([
    ['nothing', ''],
    ['no JSON', 'nonsense'],
    ['JSON cut off', JSON.stringify(valid).slice(0, -1)],
    ['JSON twice', JSON.stringify(valid).repeat(2)],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"{}"'],
    ['a number', '2'],
    ['a byte order mark', `\ufeff${JSON.stringify(valid)}`],
    ['no UTF-8', Buffer.from(JSON.stringify({ ...valid, x: '\xff' }), 'latin1')],
    ['UTF-16', Buffer.from(JSON.stringify(valid), 'utf16le')],
    ['a NUL after the JSON', `${JSON.stringify(valid)}\0`],
    ['a raw NUL in a text', JSON.stringify({ ...valid, x: '@' }).replace('@', '\0')],
  ])('21. a manifest of %s is MANIFEST_INVALID', async (_, body) => {
    expect(await refusal(await put(body))).toBe('400 MANIFEST_INVALID');
  });

  it.each([
    ['no schemaVersion', { ...valid, schemaVersion: undefined }],
    ['schemaVersion "2"', { ...valid, schemaVersion: '2' }],
    ['schemaVersion 3', { ...valid, schemaVersion: 3 }],
    ['no config', { ...valid, config: undefined }],
    ['a config that is a text', { ...valid, config: config.digest }],
    ['no layers', { ...valid, layers: undefined }],
    ['layers that are an object', { ...valid, layers: {} }],
    ['a layer that is null', { ...valid, layers: [null] }],
    ['a layer without a digest', { ...valid, layers: [{ ...config, digest: undefined }] }],
    ['a layer without a size', { ...valid, layers: [{ ...config, size: undefined }] }],
    ['a negative size', { ...valid, layers: [{ ...config, size: -1 }] }],
    ['half a byte', { ...valid, layers: [{ ...config, size: 0.5 }] }],
    ['a size as a text', { ...valid, layers: [{ ...config, size: '2' }] }],
    ['a layer without a media type', { ...valid, layers: [{ ...config, mediaType: undefined }] }],
    ['a media type with a NUL', { ...valid, config: { ...config, mediaType: 'a/b\0' } }],
    ['a media type of 10,000 characters', { ...valid, artifactType: `a/${'b'.repeat(10_000)}` }],
    ['a mediaType that is a number', { ...valid, mediaType: 2 }],
    ['annotations that are a list', { ...valid, annotations: [] }],
    ['an annotation that is no text', { ...valid, annotations: { a: 1 } }],
    ['a NUL in an annotation', { ...valid, annotations: { a: 'b\0' } }],
    ['a NUL in the key of an annotation', { ...valid, annotations: { 'a\0': 'b' } }],
    ['half a surrogate pair', { ...valid, annotations: { a: '\ud800' } }],
    ['a subject that is a text', { ...valid, subject: config.digest }],
  ])('21. a manifest with %s is MANIFEST_INVALID', async (_, manifest) => {
    expect(await refusal(await put(JSON.stringify(manifest)))).toBe('400 MANIFEST_INVALID');
  });

  it.each([
    ['config', { ...valid, config: { ...config, digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' } }],
    ['layer', { ...valid, layers: [{ ...config, digest: `${config.digest}0` }] }],
    ['layer that leads elsewhere', { ...valid, layers: [{ ...config, digest: 'sha256:../../etc/passwd' }] }],
    ['subject', { ...valid, subject: { ...config, digest: 'latest' } }],
  ])('22. a malformed digest of a %s is DIGEST_INVALID', async (_, manifest) => {
    expect(await refusal(await put(JSON.stringify(manifest)))).toBe('400 DIGEST_INVALID');
  });

  it.each(['nonsense', '/', 'a/b/c', `a/${'b'.repeat(5_000)}`, ';', 'text/html', 'multipart/form-data'])(
    '21. the Content-Type %s is MANIFEST_INVALID',
    async (type) => {
      expect(await refusal(await put(JSON.stringify(valid), type))).toBe('400 MANIFEST_INVALID');
    },
  );

  it('21. a Content-Encoding is refused: nothing is decoded', async () => {
    const response = await raw(
      'PUT',
      `/v2/${name}/manifests/stored`,
      [
        ['Content-Type', OCI_MANIFEST],
        ['Content-Encoding', 'gzip'],
        ['Content-Length', 4],
      ],
      Buffer.from([0x1f, 0x8b, 8, 0]),
    );
    expect(response.headers.get('accept-encoding')).toBe('identity');
    expect(await refusal(response)).toBe('415 UNSUPPORTED');
  });
});
