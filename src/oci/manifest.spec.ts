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

function parseText(text: string | Uint8Array, contentType?: string) {
  return parseManifest(Buffer.from(text), contentType);
}

function parse(manifest: unknown, contentType?: string) {
  return parseText(JSON.stringify(manifest), contentType);
}

function annotationsOf(count: number, length: number): string {
  const entries = Array.from({ length: count }, (_, index) => [`key ${index}`, 'x'.repeat(length)]);
  return JSON.stringify({ ...image, annotations: Object.fromEntries(entries) as unknown });
}

describe('parseManifest: results', () => {
  it('reads an image', async () => {
    expect(await parse(image, OCI_MANIFEST)).toEqual({
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

  it('reads an index', async () => {
    expect(await parse(index, OCI_INDEX)).toEqual({
      mediaType: OCI_INDEX,
      artifactType: undefined,
      subject: undefined,
      annotations: {},
      blobs: [],
      children: [child],
    });
  });

  it("reads Docker's manifest and list equally", async () => {
    const docker = await parse({ ...image, mediaType: DOCKER_MANIFEST }, DOCKER_MANIFEST);
    expect([docker.mediaType, docker.blobs.length]).toEqual([DOCKER_MANIFEST, 2]);
    const list = await parse({ ...index, mediaType: DOCKER_MANIFEST_LIST }, DOCKER_MANIFEST_LIST);
    expect([list.mediaType, list.children]).toEqual([DOCKER_MANIFEST_LIST, [child]]);
  });

  it.each([
    ['an image', image, 'a/b', 'a/b'],
    ['an image', image, '', CONFIG],
    ['an image', image, null, CONFIG],
    ['an index', index, 'a/b', 'a/b'],
    ['an index', index, '', undefined],
  ])('has for %s #%# the artifactType that referrers show', async (_, manifest, artifactType, effective) => {
    expect((await parse({ ...manifest, artifactType })).artifactType).toBe(effective);
  });

  it('reads the subject of an image and of an index', async () => {
    expect((await parse({ ...image, subject: child })).subject).toBe(child.digest);
    const sha512 = descriptor(OCI_MANIFEST, 'subject', 'sha512');
    expect((await parse({ ...index, subject: sha512 })).subject).toBe(sha512.digest);
  });

  it('keeps the first descriptor of a digest: a config that is also a layer stays the config', async () => {
    const empty = descriptor(OCI_EMPTY, '{}');
    const { blobs } = await parse({ ...image, config: empty, layers: [empty, layer, layer] });
    expect(blobs.map(({ digest, role }) => [digest, role])).toEqual([
      [empty.digest, 'config'],
      [layer.digest, 'layer'],
    ]);
    expect((await parse({ ...index, manifests: [child, child] })).children).toEqual([child]);
  });

  it('omits non-distributable layers', async () => {
    const foreign = { ...descriptor(FOREIGN, 'foreign'), urls: ['https://example.com/x'] };
    expect((await parse({ ...image, layers: [foreign, layer] })).blobs).toEqual([
      { ...config, role: 'config' },
      { ...layer, role: 'layer' },
    ]);
  });

  it('accepts empty and null lists, nested indexes, unknown fields and data', async () => {
    expect((await parse({ ...image, layers: [] })).blobs).toHaveLength(1);
    expect((await parse({ ...image, layers: null })).blobs).toHaveLength(1);
    expect((await parse({ ...index, manifests: [] })).children).toEqual([]);
    expect((await parse({ ...index, manifests: null }, OCI_INDEX)).children).toEqual([]);
    expect(
      (await parse({ ...index, manifests: [{ ...child, mediaType: OCI_INDEX }] })).children,
    ).toHaveLength(1);
    expect(
      (await parse({ ...image, extra: { deep: [1] }, config: { ...config, data: '!', more: 1 } })).blobs,
    ).toEqual((await parse(image)).blobs);
  });
});

describe('parseManifest: media types', () => {
  it.each([undefined, '', 'application/json', 'application/octet-stream', `${OCI_MANIFEST}; charset=utf-8`])(
    'takes the mediaType field when the Content-Type is %j',
    async (contentType) => {
      expect((await parse(image, contentType)).mediaType).toBe(OCI_MANIFEST);
    },
  );

  it('returns the registered case of a type that was pushed in another one', async () => {
    expect((await parse(image, OCI_MANIFEST.toUpperCase())).mediaType).toBe(OCI_MANIFEST);
  });

  it('infers an OCI type from the fields if nothing else tells it', async () => {
    expect((await parse({ ...image, mediaType: undefined })).mediaType).toBe(OCI_MANIFEST);
    expect((await parse({ ...index, mediaType: undefined })).mediaType).toBe(OCI_INDEX);
    expect((await parse({ ...index, mediaType: '' }, OCI_INDEX)).mediaType).toBe(OCI_INDEX);
  });

  it.each([
    ['without it', image, DOCKER_MANIFEST, undefined],
    ['with an empty one', image, DOCKER_MANIFEST, ''],
    ['with null', image, DOCKER_MANIFEST, null],
    ['in another case', image, DOCKER_MANIFEST, DOCKER_MANIFEST.toUpperCase()],
    ['of a list, without it', index, DOCKER_MANIFEST_LIST, undefined],
    ['of OCI, in another case', image, OCI_MANIFEST, OCI_MANIFEST.toUpperCase()],
  ])('refuses a mediaType with which clients can’t pull: %s', async (_, manifest, contentType, mediaType) => {
    const message = expect.stringContaining(`mediaType: expected ${contentType};`);
    await expect(parse({ ...manifest, mediaType }, contentType)).rejects.toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', message }),
    );
  });

  it('names the media type that is not supported', async () => {
    const artifact = 'application/vnd.oci.artifact.manifest.v1+json';
    await expect(parseText('{"schemaVersion":2}', artifact)).rejects.toThrow(
      `unsupported media type ${artifact}; push the artifact as an OCI image manifest with an artifactType`,
    );
    // Such manifests have no schemaVersion.
    await expect(parse({ mediaType: artifact, blobs: [] })).rejects.toThrow(
      `unsupported media type ${artifact};`,
    );
    await expect(parse({ ...image, mediaType: 'a/b' })).rejects.toThrow(
      `unsupported media type a/b; expected ${OCI_MANIFEST} or ${DOCKER_MANIFEST} or ${OCI_INDEX} or`,
    );
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
  ])('refuses %s', async (_, manifest, contentType) => {
    await expect(parse(manifest, contentType)).rejects.toThrow(ManifestInvalidError);
  });

  it.each([
    [{ schemaVersion: 1, name: 'a', fsLayers: [] }, undefined],
    [{ ...image, fsLayers: [] }, OCI_MANIFEST],
    [image, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    [image, 'application/vnd.docker.distribution.manifest.v1+json; charset=utf-8'],
  ])('refuses schema 1 and says so #%#', async (manifest, contentType) => {
    await expect(parse(manifest, contentType)).rejects.toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', message: expect.stringContaining('schema 1') }),
    );
  });
});

describe('parseManifest: refusals', () => {
  it.each([
    ['no bytes', ''],
    ['text', 'blablabla'],
    ['a list', '[]'],
    ['null', 'null'],
    ['broken UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])],
    ['a byte order mark', `\ufeff${JSON.stringify(image)}`],
    ['a text', '"a"'],
    ['an object without a schemaVersion', '{"a":1}'],
    ['two values', `${JSON.stringify(image)}{}`],
    ['4 MiB of [', '['.repeat(4 << 20)],
  ])('refuses %s', async (_, text) => {
    await expect(parseText(text, OCI_MANIFEST)).rejects.toThrow(/^invalid manifest: /);
  });

  it('accepts 100 levels in an unknown field, but no more', async () => {
    const nested = (depth: number) =>
      JSON.stringify(image).replace('{', `{"x":${'['.repeat(depth)}${']'.repeat(depth)},`);
    expect((await parseText(nested(99))).mediaType).toBe(OCI_MANIFEST);
    await expect(parseText(nested(100))).rejects.toThrow('more than 100 levels');
    await expect(parseText(nested(100_000))).rejects.toThrow('more than 100 levels');
  });

  it.each([
    ['a repeated key', `{"schemaVersion":2,"x":{"a":1,"\\u0061":2}}`, '"a" is repeated'],
    ['a key that differs only in case', `{"schemaVersion":2,"Layers":[]}`, 'differs from layers'],
    ['one in a descriptor', `{"config":{"Digest":"x"}}`, 'differs from digest'],
    ['one with a letter that Go folds', `{"layer\u017f":[]}`, 'differs from layers'],
    ['too much in the annotations', annotationsOf(5, 1024 * 1024), 'more than the limit of 4194304'],
    ['too many annotations', annotationsOf(10_001, 1), 'more than 10000 members'],
  ])('refuses %s and says so', async (_, text, message) => {
    await expect(parseText(text, OCI_MANIFEST)).rejects.toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', message: expect.stringContaining(message) }),
    );
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
  ])('names the field that is wrong: %s #%#', async (field, manifest) => {
    await expect(parse(manifest, manifest.mediaType)).rejects.toThrow(
      expect.objectContaining({
        code: 'MANIFEST_INVALID',
        message: expect.stringContaining(`invalid manifest: ${field}:`),
      }),
    );
  });

  it.each(['sha256:00', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'x', ''])(
    'refuses the digest %j as DIGEST_INVALID and names the field',
    async (digest) => {
      await expect(parse({ ...image, layers: [layer, { ...layer, digest }] })).rejects.toThrow(
        expect.objectContaining({
          name: 'DigestInvalidError',
          message: expect.stringMatching(/^invalid manifest: layers\[1\]\.digest: /),
          detail: { field: 'layers[1].digest' },
        }),
      );
      await expect(parse({ ...index, subject: { ...child, digest } })).rejects.toThrow(DigestInvalidError);
    },
  );

  it.each([
    ['no bytes', '', 'the request has no body'],
    ['a byte order mark', `\ufeff${JSON.stringify(image)}`, 'a byte order mark, at byte 0'],
    ['a NUL at its end', '{}\0', 'found NUL (0x00) at byte 2, expected nothing more'],
    ['text at its end', '{}x', 'found "x" at byte 2, expected nothing more'],
    ['UTF-8 that is broken', Buffer.from('{"a":"ä"}', 'latin1'), 'not UTF-8, at byte 6'],
    ['UTF-16', Buffer.from('\ufeff{}', 'utf16le'), 'not UTF-8, at byte 0'],
    ['a missing end', '{"a":[1', 'it ends at byte 7, expected "," or "]"'],
  ])('says what is wrong and where: %s', async (_, text, message) => {
    await expect(parseText(text, OCI_MANIFEST)).rejects.toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID', message: expect.stringContaining(message) }),
    );
  });

  it('refuses a list at its first item that is not a descriptor', async () => {
    // The rest is not JSON.
    await expect(parseText('{"layers":[{},{},?')).rejects.toThrow('layers[0].size:');
    await expect(parseText('{"manifests":[7,?')).rejects.toThrow('manifests[0]:');
  });
});

describe('parseManifest: hostile input', () => {
  it('keeps an annotation __proto__ an annotation', async () => {
    const text = JSON.stringify(image).replace('{', '{"annotations":{"__proto__":"x","constructor":"y"},');
    const { annotations } = await parseText(text);
    expect(Object.entries(annotations)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    // The prototype of all objects is the only one without a prototype.
    expect(Object.getPrototypeOf(Object.getPrototypeOf(annotations))).toBeNull();
  });

  it("doesn't take fields from a __proto__ key", async () => {
    const text = `{"__proto__":${JSON.stringify(image)}}`;
    await expect(parseText(text, OCI_MANIFEST)).rejects.toThrow(ManifestInvalidError);
  });

  it('throws only RegistryErrors for any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), async (bytes) => {
        await expect(parseText(bytes)).rejects.toThrow(RegistryError);
      }),
    );
  });

  it('throws only RegistryErrors if any field is any JSON', async () => {
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
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(image, index),
        fc.constantFrom(...fields, 'manifests'),
        fc.constantFrom(...inner),
        fc.jsonValue(),
        async (base, field, innerField, value) => {
          const wrong = { ...layer, [innerField]: value };
          for (const replaced of [value, wrong, [wrong]]) {
            try {
              expect((await parse({ ...base, [field]: replaced })).mediaType).toBe(base.mediaType);
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

describe('parseManifest: a large manifest', () => {
  const MIB = 1024 * 1024;
  const inUnknown = (json: string) => JSON.stringify(image).replace('{', `{"x":${json},`);
  const layers = Array.from({ length: 12_000 }, (_, number) => descriptor(LAYER, `layer ${number}`));

  it.each([
    ['many layers', () => JSON.stringify({ ...image, layers })],
    ['many children', () => JSON.stringify({ ...index, manifests: layers })],
    ['many layers that are wrong', () => JSON.stringify({ ...image, layers: [...layers, 1] })],
    ['short lists', () => inUnknown(`[${'[],'.repeat(MIB)}1]`)],
    ['short objects', () => inUnknown(`[${'{"a":{}},'.repeat(MIB / 3)}1]`)],
    ['numbers', () => inUnknown(`[${'1,'.repeat(2 * MIB - 1000)}1]`)],
    ['keys', () => inUnknown(`[${`{${keys(10_000)}},`.repeat(28)}1]`)],
    ['an error at its end', () => `${inUnknown(`[${'0,'.repeat(2 * MIB - 1000)}1]`)}]`],
  ])('of %s does not block other work while it is read', async (_, textOf) => {
    const bytes = Buffer.from(textOf());
    let turns = 0;
    let immediate = setImmediate(function count() {
      turns += 1;
      immediate = setImmediate(count);
    });
    await parseManifest(bytes, undefined).catch((error: unknown) => {
      expect(error).toBeInstanceOf(RegistryError);
    });
    clearImmediate(immediate);
    // Parsing in one step would take no turn.
    expect(turns).toBeGreaterThan(3);
  });

  function keys(count: number): string {
    return Array.from({ length: count }, (_, number) => `"${number}":1`).join(',');
  }
});
