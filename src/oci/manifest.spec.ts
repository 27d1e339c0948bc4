import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { digestOf } from './digest.js';
import { DigestInvalidError, ManifestInvalidError, RegistryError } from './errors.js';
import { parseManifest } from './manifest.js';
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from './media-types.js';

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

function descriptor(mediaType: string, content: string, algorithm: 'sha256' | 'sha512' = 'sha256') {
  const bytes = Buffer.from(content);
  return { mediaType, digest: digestOf(algorithm, bytes), size: bytes.length };
}

const config = descriptor(CONFIG, 'config');
const layer = descriptor(LAYER, 'layer');
const child = descriptor(OCI_MANIFEST, 'child');
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] };

function parseText(text: string | Uint8Array, contentType?: string, maxReferences = 10) {
  return parseManifest(Buffer.from(text), contentType, { maxReferences });
}

function parse(manifest: unknown, contentType?: string, maxReferences?: number) {
  return parseText(JSON.stringify(manifest), contentType, maxReferences);
}

describe('parseManifest: what it reads', () => {
  it('reads an image', () => {
    expect(parse(image, OCI_MANIFEST)).toEqual({
      mediaType: OCI_MANIFEST,
      artifactType: CONFIG,
      configMediaType: CONFIG,
      subject: undefined,
      annotations: {},
      blobs: [
        { ...config, role: 'config' },
        { ...layer, role: 'layer' },
      ],
      children: [],
    });
  });

  it('reads an index', () => {
    expect(parse(index, OCI_INDEX)).toEqual({
      mediaType: OCI_INDEX,
      artifactType: undefined,
      subject: undefined,
      annotations: {},
      blobs: [],
      children: [child],
    });
  });

  it("reads Docker's manifest and list equally", () => {
    const docker = parse({ ...image, mediaType: DOCKER_MANIFEST }, DOCKER_MANIFEST);
    expect([docker.mediaType, docker.blobs.length]).toEqual([DOCKER_MANIFEST, 2]);
    const list = parse({ ...index, mediaType: DOCKER_MANIFEST_LIST }, DOCKER_MANIFEST_LIST);
    expect([list.mediaType, list.children]).toEqual([DOCKER_MANIFEST_LIST, [child]]);
  });

  it.each([
    ['an image', image, 'a/b', 'a/b'],
    ['an image', image, '', CONFIG],
    ['an image', image, null, CONFIG],
    ['an index', index, 'a/b', 'a/b'],
    ['an index', index, '', undefined],
  ])('has for %s #%# the artifactType that referrers show', (_, manifest, artifactType, effective) => {
    expect(parse({ ...manifest, artifactType }).artifactType).toBe(effective);
  });

  it('reads the subject of an image and of an index', () => {
    expect(parse({ ...image, subject: child }).subject).toBe(child.digest);
    const sha512 = descriptor(OCI_MANIFEST, 'subject', 'sha512');
    expect(parse({ ...index, subject: sha512 }).subject).toBe(sha512.digest);
  });

  it('keeps the first descriptor of a digest, so that a config that is a layer too stays the config', () => {
    const empty = descriptor(OCI_EMPTY, '{}');
    const { blobs } = parse({ ...image, config: empty, layers: [empty, layer, layer] });
    expect(blobs.map(({ digest, role }) => [digest, role])).toEqual([
      [empty.digest, 'config'],
      [layer.digest, 'layer'],
    ]);
    expect(parse({ ...index, manifests: [child, child] }).children).toEqual([child]);
  });

  it('leaves out non-distributable layers', () => {
    const foreign = { ...descriptor(FOREIGN, 'foreign'), urls: ['https://example.com/x'] };
    expect(parse({ ...image, layers: [foreign, layer] }).blobs).toEqual([
      { ...config, role: 'config' },
      { ...layer, role: 'layer' },
    ]);
  });

  it('accepts empty and null lists, nested indexes, unknown fields and data', () => {
    expect(parse({ ...image, layers: [] }).blobs).toHaveLength(1);
    expect(parse({ ...image, layers: null }).blobs).toHaveLength(1);
    expect(parse({ ...index, manifests: [] }).children).toEqual([]);
    expect(parse({ ...index, manifests: null }, OCI_INDEX).children).toEqual([]);
    expect(parse({ ...index, manifests: [{ ...child, mediaType: OCI_INDEX }] }).children).toHaveLength(1);
    expect(
      parse({ ...image, extra: { deep: [1] }, config: { ...config, data: '!', more: 1 } }).blobs,
    ).toEqual(parse(image).blobs);
  });
});

describe('parseManifest: media types', () => {
  it.each([undefined, '', 'application/json', 'application/octet-stream', `${OCI_MANIFEST}; charset=utf-8`])(
    'takes the mediaType field when the Content-Type is %j',
    (contentType) => {
      expect(parse(image, contentType).mediaType).toBe(OCI_MANIFEST);
    },
  );

  it('serves a type that was pushed in another case in its registered one', () => {
    expect(parse(image, OCI_MANIFEST.toUpperCase()).mediaType).toBe(OCI_MANIFEST);
  });

  it('infers an OCI type from the shape when nothing else tells', () => {
    expect(parse({ ...image, mediaType: undefined }).mediaType).toBe(OCI_MANIFEST);
    expect(parse({ ...index, mediaType: undefined }).mediaType).toBe(OCI_INDEX);
    expect(parse({ ...image, mediaType: undefined }, DOCKER_MANIFEST).mediaType).toBe(DOCKER_MANIFEST);
  });

  it.each([
    ['another type', image, OCI_INDEX],
    ["Docker's type for OCI's", image, DOCKER_MANIFEST],
    ['an index pushed as an image', { ...index, mediaType: undefined }, OCI_MANIFEST],
    ['an image pushed as an index', { ...image, mediaType: undefined }, OCI_INDEX],
    ['an unsupported Content-Type', image, 'application/vnd.example.manifest+json'],
    ['a malformed Content-Type', image, 'nonsense'],
    ['an unsupported mediaType', { ...image, mediaType: 'a/b' }, undefined],
    ['an unsupported mediaType behind a good Content-Type', { ...image, mediaType: 'a/b' }, OCI_MANIFEST],
    ['a mediaType that is no string', { ...image, mediaType: 2 }, undefined],
    ['an image with manifests', { ...image, manifests: [] }, OCI_MANIFEST],
    ['an index with layers', { ...index, layers: [] }, OCI_INDEX],
    ['an index with a config', { ...index, config }, OCI_INDEX],
    ['neither image nor index', { schemaVersion: 2 }, undefined],
  ])('refuses %s', (_, manifest, contentType) => {
    expect(() => parse(manifest, contentType)).toThrow(ManifestInvalidError);
  });

  it.each([
    [{ schemaVersion: 1, name: 'a', fsLayers: [] }, undefined],
    [{ ...image, fsLayers: [] }, OCI_MANIFEST],
    [image, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    [image, 'application/vnd.docker.distribution.manifest.v1+json; charset=utf-8'],
  ])('refuses schema 1 and says so #%#', (manifest, contentType) => {
    expect(() => parse(manifest, contentType)).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', message: expect.stringContaining('schema 1') }),
    );
  });
});

describe('parseManifest: what it refuses', () => {
  it.each([
    ['no bytes', ''],
    ['text', 'blablabla'],
    ['a list', '[]'],
    ['null', 'null'],
    ['broken UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])],
    ['a byte order mark', `\ufeff${JSON.stringify(image)}`],
    ['two values', `${JSON.stringify(image)}{}`],
    ['4 MiB of [', '['.repeat(4 << 20)],
  ])('refuses %s', (_, text) => {
    expect(() => parseText(text, OCI_MANIFEST)).toThrow(ManifestInvalidError);
  });

  it("isn't impressed by depth in a field that it doesn't know", () => {
    const depth = 100_000;
    const text = JSON.stringify(image).replace('{', `{"x":${'['.repeat(depth)}${']'.repeat(depth)},`);
    try {
      expect(parseText(text).mediaType).toBe(OCI_MANIFEST);
    } catch (error) {
      expect(error).toBeInstanceOf(ManifestInvalidError);
    }
  });

  it.each([
    ['schemaVersion', { ...image, schemaVersion: '2' }],
    ['schemaVersion', { ...image, schemaVersion: undefined }],
    ['layers', { ...image, layers: undefined }],
    ['layers', { ...image, layers: {} }],
    ['layers[1]', { ...image, layers: [layer, null] }],
    ['config', { ...image, config: undefined }],
    ['config', { ...image, config: [] }],
    ['config.mediaType', { ...image, config: { ...config, mediaType: '' } }],
    ['config.mediaType', { ...image, config: { ...config, mediaType: undefined } }],
    ['config.mediaType', { ...image, config: { ...config, mediaType: 'a'.repeat(256) } }],
    ['layers[0].size', { ...image, layers: [{ ...layer, size: -1 }] }],
    ['layers[0].size', { ...image, layers: [{ ...layer, size: 1.5 }] }],
    ['layers[0].size', { ...image, layers: [{ ...layer, size: 2 ** 53 }] }],
    ['layers[0].size', { ...image, layers: [{ ...layer, size: '1' }] }],
    ['layers[0].digest', { ...image, layers: [{ ...layer, digest: undefined }] }],
    ['manifests', { ...index, manifests: 'x' }],
    ['manifests[0]', { ...index, manifests: [1] }],
    ['subject', { ...image, subject: 'x' }],
    ['artifactType', { ...image, artifactType: 1 }],
    ['artifactType', { ...image, artifactType: 'a/b\0' }],
    ['annotations', { ...image, annotations: [] }],
    ['annotations', { ...image, annotations: { a: 1 } }],
    ['annotations', { ...image, annotations: { a: null } }],
    ['annotations', { ...image, annotations: { a: '\0' } }],
    ['annotations', { ...image, annotations: { '\ud800': 'a' } }],
  ])('names the field that is wrong: %s #%#', (field, manifest) => {
    expect(() => parse(manifest, manifest.mediaType)).toThrow(
      expect.objectContaining({
        code: 'MANIFEST_INVALID',
        status: 400,
        message: expect.stringContaining(`${field}:`),
      }),
    );
  });

  it.each(['sha256:00', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'x', ''])(
    'answers DIGEST_INVALID to the digest %j and names the field',
    (digest) => {
      expect(() => parse({ ...image, layers: [layer, { ...layer, digest }] })).toThrow(
        expect.objectContaining({
          name: 'DigestInvalidError',
          message: expect.stringMatching(/^layers\[1\]\.digest: /),
          detail: { field: 'layers[1].digest' },
        }),
      );
      expect(() => parse({ ...index, subject: { ...child, digest } })).toThrow(DigestInvalidError);
    },
  );

  it('counts the references, the config and duplicates too', () => {
    const layers = [layer, layer, layer];
    expect(() => parse({ ...image, layers }, OCI_MANIFEST, 4)).not.toThrow();
    expect(() => parse({ ...image, layers }, OCI_MANIFEST, 3)).toThrow('more than the limit');
    expect(() => parse({ ...index, manifests: [child, child] }, OCI_INDEX, 2)).not.toThrow();
    expect(() => parse({ ...index, manifests: [child, child] }, OCI_INDEX, 1)).toThrow('more than the limit');
  });
});

describe('parseManifest: hostile input', () => {
  it('keeps an annotation __proto__ an annotation', () => {
    const text = JSON.stringify(image).replace('{', '{"annotations":{"__proto__":"x","constructor":"y"},');
    const { annotations } = parseText(text);
    expect(Object.entries(annotations)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf(annotations)).toBe(Object.prototype);
  });

  it("doesn't take fields from a __proto__ key", () => {
    const text = `{"__proto__":${JSON.stringify(image)}}`;
    expect(() => parseText(text, OCI_MANIFEST)).toThrow(ManifestInvalidError);
  });

  it('throws nothing but RegistryErrors, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(() => parseText(bytes)).toThrow(RegistryError);
      }),
    );
  });

  it('throws nothing but RegistryErrors when any field is any JSON', () => {
    const fields = [
      'schemaVersion',
      'mediaType',
      'config',
      'layers',
      'subject',
      'annotations',
      'artifactType',
    ];
    const inner = ['mediaType', 'digest', 'size', 'annotations'];
    fc.assert(
      fc.property(
        fc.constantFrom(image, index),
        fc.constantFrom(...fields, 'manifests'),
        fc.constantFrom(...inner),
        fc.jsonValue(),
        (base, field, innerField, value) => {
          const wrong = { ...layer, [innerField]: value };
          for (const replaced of [value, wrong, [wrong]]) {
            try {
              expect(parse({ ...base, [field]: replaced }).mediaType).toBe(base.mediaType);
            } catch (error) {
              expect(error).toBeInstanceOf(RegistryError);
            }
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
