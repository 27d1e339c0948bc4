import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  contentHeaders,
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
  specErrors,
} from '../support/registry-client.js';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const MANIFEST_LIMIT = 4 * 1024 * 1024;

describe('manifests', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let image: Awaited<ReturnType<RegistryClient['makeImage']>>;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('manifests');
    image = await client.makeImage(name, ['one', 'two']);
  });

  const path = (reference: string) => `/v2/${name}/manifests/${reference}`;
  const pull = (reference: string, headers: Record<string, string> = {}, method = 'GET') =>
    client.fetch(path(reference), { method, headers });
  const push = (reference: string, manifest: unknown, type?: string) =>
    client.putManifest(name, reference, manifest, type === undefined ? {} : { 'Content-Type': type });
  const missing = (text: string, mediaType = 'application/vnd.oci.image.layer.v1.tar') => {
    return { mediaType, digest: digestOf(text), size: text.length };
  };

  describe('pushing', () => {
    it.each([
      ['as written by people', (text: string) => text],
      ['with spaces, tabs and line ends', (text: string) => `\t ${text.replaceAll(',', ' ,\r\n')}\n\n`],
      [
        'with escapes and characters beyond ASCII',
        (text: string) => text.replace('{', '{"\\u0061": "ä€😀\\/", '),
      ],
    ])('19. the exact bytes pushed are served (%s)', async (_, write) => {
      const text = write(JSON.stringify(image, null, 2));
      const response = await push('exact', text, OCI_MANIFEST);
      expect(response.status).toBe(201);
      for (const reference of ['exact', digestOf(text)]) {
        const pulled = await pull(reference);
        expect(pulled.headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
        expect(await pulled.text()).toBe(text);
      }
    });

    it('19. unknown fields and data fields are accepted', async () => {
      const data = { ...image.config, data: Buffer.from('{}').toString('base64') };
      const manifest = { ...image, config: data, unknown: [{ deep: null }], 'x-y': 1.5e3 };
      expect((await push('unknown-fields', manifest, OCI_MANIFEST)).status).toBe(201);
    });

    it.each([
      'application/vnd.oci.image.layer.nondistributable.v1.tar',
      'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    ])('19. a foreign layer (%s) does not have to be pushed', async (mediaType) => {
      const layers = [{ ...missing('elsewhere', mediaType), urls: ['https://example.org/layer'] }];
      expect((await push('foreign', { ...image, layers }, OCI_MANIFEST)).status).toBe(201);
    });

    it.each([[[]], [null]])('19. layers: %j and manifests: %j are accepted', async (empty) => {
      expect((await push('no-layers', { ...image, layers: empty }, OCI_MANIFEST)).status).toBe(201);
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: empty };
      expect((await push('no-manifests', index, OCI_INDEX)).status).toBe(201);
    });

    it('19. an index of indexes is accepted', async () => {
      await push('nested-image', image, OCI_MANIFEST);
      const text = JSON.stringify(image);
      const inner = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [missing(text, OCI_MANIFEST)] };
      expect((await push('inner', inner, OCI_INDEX)).status).toBe(201);
      const outer = { ...inner, manifests: [missing(JSON.stringify(inner), OCI_INDEX)] };
      expect((await push('outer', outer, OCI_INDEX)).status).toBe(201);
    });

    /** A manifest of exactly so many bytes. */
    const ofSize = (bytes: number) => {
      const text = JSON.stringify({ ...image, padding: '' });
      return text.replace('"padding":""', `"padding":"${'x'.repeat(bytes - text.length)}"`);
    };

    it('20. a manifest of 4 MiB passes, whole', async () => {
      const text = ofSize(MANIFEST_LIMIT);
      expect(text.length).toBe(MANIFEST_LIMIT);
      expect((await push('large', text, OCI_MANIFEST)).status).toBe(201);
      expect(digestOf(await (await pull('large')).text())).toBe(digestOf(text));
    });

    it('20. one byte more is a 413, and changes nothing', async () => {
      await push('limit', image, OCI_MANIFEST);
      const response = await push('limit', ofSize(MANIFEST_LIMIT + 1), OCI_MANIFEST);
      expect(response.status).toBe(413);
      const message = `the manifest is larger than ${MANIFEST_LIMIT} bytes, the limit MANIFEST_MAX_BYTES`;
      expect(await specErrors(response)).toEqual([{ code: 'MANIFEST_INVALID', message }]);
      expect(await (await pull('limit')).text()).toBe(JSON.stringify(image));
    });

    it('20. no body parser reads it: any JSON type, and no type at all', async () => {
      for (const type of [
        'application/json',
        'application/json; charset=utf-8',
        'application/octet-stream',
        undefined,
      ]) {
        const text = JSON.stringify({ ...image, type: type ?? null });
        const body = Buffer.from(text);
        const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type };
        const response = await client.fetch(path('any-type'), { method: 'PUT', body, headers });
        expect(response.status).toBe(201);
        const pulled = await pull('any-type');
        expect([await pulled.text(), pulled.headers.get('content-type')]).toEqual([text, OCI_MANIFEST]);
      }
    });

    it('20. a manifest may come in chunked transfer encoding', async () => {
      const text = JSON.stringify({ ...image, chunked: true });
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('PUT', path('chunked'), [
        ['Content-Type', OCI_MANIFEST],
        ['Transfer-Encoding', 'chunked'],
      ]);
      await connection.send(head, httpChunk(text.slice(0, 10)), httpChunk(text.slice(10)), httpChunk(''));
      expect((await connection.response()).status).toBe(201);
      connection.leave();
      expect(await (await pull('chunked')).text()).toBe(text);
    });

    it.each([
      [OCI_MANIFEST, OCI_MANIFEST],
      [`${OCI_MANIFEST}; charset=utf-8`, OCI_MANIFEST],
      [`${OCI_MANIFEST} ;a=b`, OCI_MANIFEST],
    ])('21. pushed as %s, it is served as %s', async (type, served) => {
      expect((await push('type', image, type)).status).toBe(201);
      for (const method of ['GET', 'HEAD']) {
        expect((await pull('type', {}, method)).headers.get('content-type')).toBe(served);
      }
    });

    it('21. without a mediaType in it, the Content-Type decides', async () => {
      const { mediaType: _, ...untyped } = image;
      expect((await push('untyped', untyped, OCI_MANIFEST)).status).toBe(201);
      expect((await pull('untyped')).headers.get('content-type')).toBe(OCI_MANIFEST);
      const index = { schemaVersion: 2, manifests: [] };
      expect((await push('untyped', index, OCI_INDEX)).status).toBe(201);
      expect((await pull('untyped')).headers.get('content-type')).toBe(OCI_INDEX);
    });

    it.each([
      [DOCKER_MANIFEST, () => ({ ...image, mediaType: undefined })],
      [DOCKER_LIST, () => ({ schemaVersion: 2, manifests: [] })],
    ])('21. clients can’t pull a manifest of %s without its mediaType: it is refused', async (type, make) => {
      const response = await push('docker-untyped', make(), type);
      expect(response.status).toBe(400);
      const message = `invalid manifest: mediaType: expected ${type}; without it, clients can't pull the manifest`;
      expect(await specErrors(response)).toEqual([{ code: 'MANIFEST_INVALID', message }]);
      expect((await pull('docker-untyped')).status).toBe(404);
    });

    it.each([
      ['a Docker manifest', DOCKER_MANIFEST],
      ['an index', OCI_INDEX],
      ['something unknown', 'application/vnd.example+json'],
      ['an artifact manifest', 'application/vnd.oci.artifact.manifest.v1+json'],
      ['no media type', 'nonsense'],
    ])('21. a Content-Type of %s contradicts the mediaType', async (_, type) => {
      const response = await push('contradiction', image, type);
      expect(await refusal(response)).toBe('400 MANIFEST_INVALID');
      expect((await pull('contradiction')).status).toBe(404);
    });

    it('21. fields of an image and of an index in one manifest contradict each other', async () => {
      const both = { ...image, manifests: [] };
      expect(await refusal(await push('both', both, OCI_MANIFEST))).toBe('400 MANIFEST_INVALID');
    });

    it('22. PUT by tag returns 201, Location and the sha256', async () => {
      const response = await push('put', image, OCI_MANIFEST);
      const digest = digestOf(JSON.stringify(image));
      expect(response.status).toBe(201);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      const location = response.headers.get('location') ?? '';
      expect(location).toMatch(/^\/v2\//);
      expect(await (await client.fetch(location)).text()).toBe(JSON.stringify(image));
    });

    it.each(['sha256', 'sha512'] as const)('22. PUT by %s returns that digest', async (algorithm) => {
      const text = JSON.stringify({ ...image, by: algorithm });
      const digest = digestOf(text, algorithm);
      const response = await push(digest, text, OCI_MANIFEST);
      expect([response.status, response.headers.get('docker-content-digest')]).toEqual([201, digest]);
      const pulled = await pull(digest);
      expect([pulled.headers.get('docker-content-digest'), await pulled.text()]).toEqual([digest, text]);
    });

    it.each(['sha256', 'sha512'] as const)(
      '22. a body that is not of the %s is DIGEST_INVALID',
      async (algorithm) => {
        const digest = digestOf('something else', algorithm);
        expect(await refusal(await push(digest, image, OCI_MANIFEST))).toBe('400 DIGEST_INVALID');
        expect(await refusal(await pull(digest))).toBe('404 MANIFEST_UNKNOWN');
      },
    );

    it('22. PUT sha256:baddigeststring is a 400', async () => {
      expect(await refusal(await push('sha256:baddigeststring', image, OCI_MANIFEST))).toBe(
        '400 DIGEST_INVALID',
      );
    });

    it('22. a tag and a digest in one reference are refused with the reason', async () => {
      const digest = digestOf(JSON.stringify(image));
      const response = await push(`v1@${digest}`, image, OCI_MANIFEST);
      const message = `expected a tag or a digest, not both: "v1" or "${digest}"`;
      expect(response.status).toBe(400);
      expect(await specErrors(response)).toEqual([{ code: 'DIGEST_INVALID', message }]);
    });

    it('22. a push repeated is a push', async () => {
      const repeated = await Promise.all(Array.from({ length: 6 }, () => push('again', image, OCI_MANIFEST)));
      expect(repeated.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 201));
    });
  });

  describe('pulling', () => {
    it.each([undefined, '*/*', OCI_MANIFEST, DOCKER_MANIFEST, 'text/html'])(
      '27. Accept: %s → the manifest as pushed',
      async (accept) => {
        await push('accept', image, OCI_MANIFEST);
        const connection = await RawConnection.open(berth.url);
        await connection.send(
          requestHead('GET', path('accept'), accept === undefined ? [] : [['Accept', accept]]),
        );
        const pulled = await connection.response();
        connection.leave();
        expect([pulled.status, pulled.headers.get('content-type')]).toEqual([200, OCI_MANIFEST]);
        expect(await pulled.text()).toBe(JSON.stringify(image));
      },
    );

    it.each([
      ['schema 2', DOCKER_MANIFEST],
      ['manifest list', DOCKER_LIST],
    ])('27. a Docker %s is served as pushed, whatever is accepted', async (_, mediaType) => {
      const list = mediaType === DOCKER_LIST;
      const manifest = list ? { schemaVersion: 2, mediaType, manifests: [] } : { ...image, mediaType };
      expect((await push('docker', manifest, mediaType)).status).toBe(201);
      const pulled = await pull('docker', { Accept: OCI_MANIFEST });
      expect([pulled.headers.get('content-type'), await pulled.text()]).toEqual([
        mediaType,
        JSON.stringify(manifest),
      ]);
    });

    it.each([
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'application/vnd.docker.distribution.manifest.v1+json',
      undefined,
    ])('27. schema 1 (as %s) is refused with a clear message', async (type) => {
      const schema1 = { schemaVersion: 1, name, tag: 'x', fsLayers: [], history: [], signatures: [] };
      const [error] = await specErrors(await push('schema1', schema1, type));
      expect(error).toMatchObject({ code: 'MANIFEST_INVALID', message: expect.stringContaining('schema 1') });
    });

    it('28. the entity tag is strong and is the digest', async () => {
      await push('etag', image, OCI_MANIFEST);
      const digest = digestOf(JSON.stringify(image));
      for (const method of ['GET', 'HEAD']) {
        const { headers } = await pull('etag', {}, method);
        expect(headers.get('etag')).toBe(`"${digest}"`);
        expect(headers.get('docker-content-digest')).toBe(digest);
        expect(headers.get('content-length')).toBe(String(JSON.stringify(image).length));
      }
    });

    it('28. If-None-Match, quoted or bare → 304 until the tag moves', async () => {
      await push('moving', image, OCI_MANIFEST);
      const digest = digestOf(JSON.stringify(image));
      for (const [tag, method] of [
        [`"${digest}"`, 'GET'],
        [digest, 'GET'],
        [`W/"${digest}"`, 'HEAD'],
      ] as const) {
        const response = await pull('moving', { 'If-None-Match': tag }, method);
        expect([response.status, await response.text()]).toEqual([304, '']);
        expect(response.headers.get('etag')).toBe(`"${digest}"`);
      }
      await push('moving', { ...image, moved: true }, OCI_MANIFEST);
      expect((await pull('moving', { 'If-None-Match': `"${digest}"` })).status).toBe(200);
    });

    it('28. HEAD has the headers of GET and no body', async () => {
      await push('head', image, OCI_MANIFEST);
      const responses = await Promise.all([pull('head'), pull('head', {}, 'HEAD')]);
      expect(contentHeaders(responses[1])).toEqual(contentHeaders(responses[0]));
      expect(await responses[1].text()).toBe('');
    });

    it('28. HEAD of an unknown manifest has the status and no body', async () => {
      const response = await pull('nowhere', {}, 'HEAD');
      expect([response.status, await response.text()]).toEqual([404, '']);
    });
  });
});
