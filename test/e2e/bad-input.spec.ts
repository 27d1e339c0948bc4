import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  contentHeaders,
  digestOf,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
} from '../support/registry-client.js';
import { httpChunk, RawConnection, type RawHeaders, rawRequest, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { eventually } from '../support/until.js';
import { bytesArrived, uploadFiles } from './support/stored-files.js';

describe('bad input', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName('bad');
  const BLOB = 'stored before';
  const DIGEST = digestOf(BLOB);
  let session: string;
  let before: unknown;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    await client.pushBlob(name, BLOB);
    await client.putManifest(name, 'stored', await client.makeImage(name, [BLOB]));
    session = await client.startUpload(name);
    await client.patch(session, 'begun');
    before = await stored();
  });
  afterEach(async () => {
    expect(await stored()).toEqual(before);
  });

  /** Everything that was stored before the first bad request, with its files. */
  async function stored() {
    const paths = [`blobs/${DIGEST}`, 'manifests/stored', 'tags/list', `referrers/${DIGEST}`];
    const responses = await Promise.all(
      [...paths.map((path) => `/v2/${name}/${path}`), '/v2/_catalog', session].map((path) =>
        client.fetch(path),
      ),
    );
    const contents = responses.map(async (response) => [
      response.status,
      contentHeaders(response),
      await response.text(),
    ]);
    return { contents: await Promise.all(contents), files: await files() };
  }

  async function files(): Promise<string[]> {
    const all = await readdir(berth.dataDir, { recursive: true });
    // Uploads in progress change: tests check them where they matter.
    return all.filter((path) => !path.startsWith('storage/uploads/')).sort();
  }

  const raw = (method: string, path: string, headers: RawHeaders = [], body: Uint8Array | string = '') =>
    rawRequest(berth.url, method, path, headers, body);
  const rangeOf = async (location: string) => (await client.fetch(location)).headers.get('range');

  describe('paths that lead outside', () => {
    const DECODABLE = [
      '%2e%2e',
      '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '..%2f..%2fetc',
      '%252e%252e%252f',
      '%2Fetc%2Fpasswd',
      '..%5c..%5c',
      '%00',
      'a%00b',
      'a%0d%0aX-Injected:%20yes',
      '%20',
      '%c3%a9',
      '.',
      '~',
      'a;b',
    ];
    const UNDECODABLE = ['%', '%zz', '%c0%ae%c0%ae', '%ff', 'a%2'];

    /** Where a parameter of a path is, and how an invalid one is refused. */
    const positions: [position: string, method: string, path: (value: string) => string, expected: RegExp][] =
      [
        ['name', 'GET', (value) => `/v2/${value}/tags/list`, /^400 NAME_INVALID$/],
        ['name', 'GET', (value) => `/v2/a/${value}/b/manifests/x`, /^400 NAME_INVALID$/],
        ['name', 'POST', (value) => `/v2/${value}/blobs/uploads/`, /^400 NAME_INVALID$/],
        ['name', 'DELETE', (value) => `/v2/${value}/blobs/${DIGEST}`, /^400 NAME_INVALID$/],
        ['digest', 'GET', (value) => `/v2/${name}/blobs/${value}`, /^400 DIGEST_INVALID$/],
        ['digest', 'DELETE', (value) => `/v2/${name}/blobs/sha256:${value}`, /^400 DIGEST_INVALID$/],
        ['digest', 'GET', (value) => `/v2/${name}/referrers/${value}`, /^400 DIGEST_INVALID$/],
        ['upload', 'GET', (value) => `/v2/${name}/blobs/uploads/${value}`, /^404 BLOB_UPLOAD_UNKNOWN$/],
        ['upload', 'DELETE', (value) => `/v2/${name}/blobs/uploads/${value}`, /^404 BLOB_UPLOAD_UNKNOWN$/],
        ['reference', 'GET', (value) => `/v2/${name}/manifests/${value}`, /^404 MANIFEST_UNKNOWN$/],
        ['reference', 'PUT', (value) => `/v2/${name}/manifests/${value}`, /^400 (MANIFEST|DIGEST)_INVALID$/],
        [
          'reference',
          'DELETE',
          (value) => `/v2/${name}/manifests/${value}`,
          /^400 (MANIFEST|DIGEST)_INVALID$/,
        ],
      ];

    it.each(positions)('32. an invalid %s is refused (%s)', async (_, method, path, expected) => {
      for (const value of DECODABLE) {
        // A colon makes it a digest.
        const right =
          value.includes(':') && path('') === `/v2/${name}/manifests/` ? /^400 DIGEST_INVALID$/ : expected;
        const response = await raw(method, path(value), [['Content-Length', 0]]);
        expect([...response.headers.keys()]).not.toContain('x-injected');
        expect(`${value}: ${await refusal(response)}`).toMatch(new RegExp(`: ${right.source.slice(1)}`));
      }
    });

    it.each(positions)('32. an undecodable %s is refused (%s)', async (_, method, path) => {
      for (const value of UNDECODABLE) {
        const response = await raw(method, path(value), [['Content-Length', 0]]);
        expect(`${value}: ${await refusal(response)}`).toBe(`${value}: 400 UNSUPPORTED`);
      }
    });

    it.each(['../../../etc/passwd', '../..', './x', '//', '..\\..\\x', '%2e%2e/%2e%2e/x'])(
      '32. a path with %s in it is refused as it is',
      async (value) => {
        for (const [, method, path] of positions) {
          const response = await raw(method, path(value), [['Content-Length', 0]]);
          expect(await refusal(response)).toMatch(/^(400|404|405) [A-Z_]+$/);
        }
      },
    );

    it('32. an encoded slash in a name is a slash', async () => {
      const response = await raw('GET', `/v2/${name.replaceAll('/', '%2f')}/blobs/${DIGEST}`);
      expect([response.status, await response.text()]).toEqual([200, BLOB]);
    });

    it.each(['../../etc', '%2e%2e%2f', '%252e%252e%252f', '%00', 'a%00b', '%ff', '%'])(
      '9. %s in every parameter of a query',
      async (value) => {
        const uploads = `/v2/${name}/blobs/uploads/`;
        const asked: [method: string, path: string, expected: string][] = [
          ['POST', `${uploads}?digest=${value}`, '400 DIGEST_INVALID'],
          ['POST', `${uploads}?digest-algorithm=${value}`, '400 DIGEST_INVALID'],
          ['POST', `${uploads}?mount=${value}&from=${name}`, '400 DIGEST_INVALID'],
          ['PUT', `${session}?digest=${value}`, '400 DIGEST_INVALID'],
          ['PUT', `/v2/${name}/manifests/${DIGEST}?tag=${value}`, '400 MANIFEST_INVALID'],
          ['GET', `/v2/${name}/tags/list?n=${value}`, '400 UNSUPPORTED'],
        ];
        for (const [method, path, expected] of asked) {
          expect(await refusal(await raw(method, path, [['Content-Length', 0]]))).toBe(expected);
        }
        const mount = await raw('POST', `${uploads}?mount=${DIGEST}&from=${value}`, [['Content-Length', 0]]);
        expect(mount.status).toBe(202);
        // Parameters that accept any text.
        for (const path of [`tags/list?last=${value}`, `referrers/${DIGEST}?artifactType=${value}`]) {
          const { status } = await raw('GET', `/v2/${name}/${path}`);
          expect(status).toBe(value.includes('%00') ? 400 : 200);
        }
      },
    );

    it.each([
      ['POST', `/v2/${name}/blobs/uploads/?digest=${DIGEST}&digest=${DIGEST}`],
      ['POST', `/v2/${name}/blobs/uploads/?mount=${DIGEST}&mount=${DIGEST}&from=${name}`],
      ['POST', `/v2/${name}/blobs/uploads/?mount=${DIGEST}&from=${name}&from=x`],
      ['GET', `/v2/${name}/tags/list?last=a&last=b`],
      ['GET', `/v2/${name}/referrers/${DIGEST}?artifactType=a&artifactType=b`],
    ])('31. %s with a repeated parameter (%s) is a 400', async (method, path) => {
      expect(await refusal(await raw(method, path, [['Content-Length', 0]]))).toBe('400 UNSUPPORTED');
    });

    it('31. parameters with brackets and names of Object are ignored', async () => {
      for (const query of ['n[]=1', 'n[x]=1', '__proto__=1', 'constructor[prototype][n]=0', 'toString=1']) {
        expect((await raw('GET', `/v2/${name}/tags/list?${query}`)).status).toBe(200);
      }
    });
  });

  describe('names and digests', () => {
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
        ['POST', `${uploads}?mount=${digest}&from=${name}`],
        ['PUT', `${session}?digest=${digest}`],
      ] as const;
      for (const [method, path] of asked) {
        expect(await refusal(await raw(method, path, [['Content-Length', 0]]))).toBe('400 DIGEST_INVALID');
      }
    });
  });

  describe('manifests', () => {
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
      [
        'layer that leads elsewhere',
        { ...valid, layers: [{ ...config, digest: 'sha256:../../etc/passwd' }] },
      ],
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

  describe('wrong lengths', () => {
    const whole = `/v2/${name}/blobs/uploads/?digest=${digestOf('hello')}`;

    it('4. a PATCH that ends before its Content-Length keeps what came', async () => {
      const location = await client.startUpload(name);
      const connection = await RawConnection.open(berth.url);
      await connection.send(requestHead('PATCH', location, [['Content-Length', 100]]), 'hello');
      await bytesArrived(berth, location, 5);
      connection.finishSending();
      expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
      expect(
        await eventually(
          () => rangeOf(location),
          (range) => range !== '0-0',
        ),
      ).toBe('0-4');
      expect((await client.commit(location, digestOf('hello'))).status).toBe(201);
      await client.fetch(`/v2/${name}/blobs/${digestOf('hello')}`, { method: 'DELETE' });
      before = { ...(before as object), files: await files() };
    });

    it('9. a POST that ends before its Content-Length makes no blob and leaves nothing', async () => {
      const repository = freshName('short');
      const inFlight = await uploadFiles(berth);
      const connection = await RawConnection.open(berth.url);
      const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf('hell')}`;
      await connection.send(requestHead('POST', path, [['Content-Length', 5]]), 'hell');
      await eventually(
        () => uploadFiles(berth),
        (uploads) => uploads.length > inFlight.length,
      );
      connection.finishSending();
      expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
      const gone = (uploads: string[]) => uploads.length === inFlight.length;
      expect(await eventually(() => uploadFiles(berth), gone)).toEqual(inFlight);
      expect((await client.fetch(`/v2/${repository}/blobs/${digestOf('hell')}`)).status).toBe(404);
    });

    it('20. a manifest that ends before its Content-Length is not stored', async () => {
      const manifest = JSON.stringify(await client.makeImage(name, [BLOB], { short: true }));
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('PUT', `/v2/${name}/manifests/stored`, [
        ['Content-Type', OCI_MANIFEST],
        ['Content-Length', manifest.length + 1],
      ]);
      await connection.send(head, manifest);
      connection.finishSending();
      expect(await refusal(await connection.response())).toBe('400 UNSUPPORTED');
      expect((await client.fetch(`/v2/${name}/manifests/${digestOf(manifest)}`)).status).toBe(404);
    });

    it.each([
      ['hello world', [400, 400]],
      ['hello', [201, 400]],
    ])(
      '9. bytes that a POST sends beyond its Content-Length are not part of the blob "%s"',
      async (text, statuses) => {
        const repository = freshName('long');
        const connection = await RawConnection.open(berth.url);
        const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(text)}`;
        await connection.send(requestHead('POST', path, [['Content-Length', 5]]), 'hello world');
        const responses = [await connection.response(), await connection.response()];
        expect(responses.map(({ status }) => status)).toEqual(statuses);
        // The rest is parsed as another request, which is invalid.
        expect(await refusal(responses[1]!)).toBe('400 UNSUPPORTED');
        expect(await connection.rest()).toHaveLength(0);
        expect((await client.fetch(`/v2/${repository}/blobs/${digestOf('hello world')}`)).status).toBe(404);
        before = await stored();
      },
    );

    it.each(['-1', '+5', '5, 5', '5x', '0x5', '1e1', '', '18446744073709551616'])(
      '4. the Content-Length "%s" is refused',
      async (length) => {
        const response = await raw('POST', whole, [['Content-Length', length]], 'hello');
        expect(await refusal(response)).toMatch(/^400 (UNSUPPORTED|SIZE_INVALID)$/);
      },
    );

    it('4. a Content-Length beyond 2^53 is SIZE_INVALID', async () => {
      const length = '9007199254740993';
      expect(await refusal(await raw('POST', whole, [['Content-Length', length]]))).toBe('400 SIZE_INVALID');
      expect(await refusal(await raw('PATCH', session, [['Content-Length', length]]))).toBe(
        '400 SIZE_INVALID',
      );
    });

    it.each([
      ['no chunk size', 'zz\r\nhello\r\n0\r\n\r\n'],
      ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
      ['a chunk longer than its size', '3\r\nhello\r\n0\r\n\r\n'],
      ['a chunk size beyond all bounds', 'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ])('4. a chunked body with %s is refused', async (_, body) => {
      const response = await raw('POST', whole, [['Transfer-Encoding', 'chunked']], body);
      expect(await refusal(response)).toBe('400 UNSUPPORTED');
      expect((await client.fetch(`/v2/${name}/blobs/${digestOf('hello')}`)).status).toBe(404);
    });

    it('4. a Content-Length together with a Transfer-Encoding is refused as ambiguous', async () => {
      const headers: RawHeaders = [
        ['Content-Length', 5],
        ['Transfer-Encoding', 'chunked'],
      ];
      expect(await refusal(await raw('POST', whole, headers, httpChunk('')))).toBe('400 UNSUPPORTED');
    });

    it('4. an unknown Transfer-Encoding is refused', async () => {
      const headers: RawHeaders = [['Transfer-Encoding', 'gzip']];
      expect(await refusal(await raw('POST', whole, headers, 'hello'))).toBe('400 UNSUPPORTED');
    });
  });

  describe('headers', () => {
    const upload: RawHeaders = [['Content-Length', 4]];
    it.each<[string, string, () => string, RawHeaders, string]>([
      [
        'Content-Range',
        'PATCH',
        () => session,
        [['Content-Range', '5-8'], ['Content-Range', '5-8'], ...upload],
        '400 BLOB_UPLOAD_INVALID',
      ],
      [
        'Content-Range',
        'PUT',
        () => `${session}?digest=${DIGEST}`,
        [['Content-Range', '5-8'], ['Content-Range', '0-3'], ...upload],
        '400 BLOB_UPLOAD_INVALID',
      ],
      ['Content-Length', 'PATCH', () => session, [...upload, ['Content-Length', 5]], '400 UNSUPPORTED'],
      ['Content-Length (the same)', 'PATCH', () => session, [...upload, ...upload], '400 UNSUPPORTED'],
      [
        'Content-Type',
        'PUT',
        () => `/v2/${name}/manifests/stored`,
        [['Content-Type', OCI_MANIFEST], ['Content-Type', 'text/html'], ...upload],
        '400 MANIFEST_INVALID',
      ],
      [
        'Transfer-Encoding',
        'PATCH',
        () => session,
        [
          ['Transfer-Encoding', 'identity'],
          ['Transfer-Encoding', 'chunked'],
        ],
        '400 UNSUPPORTED',
      ],
    ])('4. %s twice in a %s is refused', async (_, method, path, headers, expected) => {
      expect(await refusal(await raw(method, path(), headers, 'four'))).toBe(expected);
    });

    it.each(['gzip', 'GZIP', 'identity, zstd', 'br', 'aws-chunked'])(
      '4. the Content-Encoding %s is refused before the body is read',
      async (coding) => {
        const headers: RawHeaders = [['Content-Encoding', coding], ...upload];
        for (const [method, path] of [
          ['PATCH', session],
          ['PUT', `${session}?digest=${digestOf('four')}`],
          ['POST', `/v2/${name}/blobs/uploads/?digest=${digestOf('four')}`],
        ] as const) {
          expect(await refusal(await raw(method, path, headers, 'four'))).toBe('415 UNSUPPORTED');
        }
      },
    );

    it.each(['identity', 'Identity', ''])('4. the Content-Encoding "%s" changes nothing', async (coding) => {
      const location = await client.startUpload(name);
      const headers: RawHeaders = [['Content-Encoding', coding], ...upload];
      expect((await raw('PATCH', location, headers, 'four')).status).toBe(202);
      await client.fetch(location, { method: 'DELETE' });
    });

    it.each(['Content-Type', 'X-Request-Id', 'User-Agent', 'If-None-Match'])(
      '32. a NUL in %s is refused',
      async (header) => {
        const response = await raw('GET', `/v2/${name}/blobs/${DIGEST}`, [[header, 'a\0b']]);
        expect(await refusal(response)).toBe('400 UNSUPPORTED');
      },
    );

    it.each(['\0', 'a\0b', 'a b'])('32. a request line with %j in its path is refused', async (value) => {
      expect(await refusal(await raw('GET', `/v2/${value}/tags/list`))).toBe('400 UNSUPPORTED');
    });

    it('32. a User-Agent that the database cannot hold does not prevent a session', async () => {
      for (const agent of ['\xff\xfe', 'x'.repeat(8_000), '\u{1f600}']) {
        const response = await raw('POST', `/v2/${name}/blobs/uploads/`, [
          ['User-Agent', agent],
          ['Content-Length', 0],
        ]);
        expect(response.status).toBe(202);
      }
    });

    it("32. garbage instead of HTTP gets a 400 in the spec's shape, and the connection ends", async () => {
      for (const garbage of [
        'garbage\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01',
        'GET\r\n\r\n',
        'GET / HTTP/9.9\r\n\r\n',
      ]) {
        const connection = await RawConnection.open(berth.url);
        await connection.send(garbage);
        const response = await connection.response();
        expect(response.headers.get('connection')).toBe('close');
        expect(await refusal(response)).toBe('400 UNSUPPORTED');
        expect(await connection.rest()).toHaveLength(0);
        connection.leave();
      }
    });

    it('32. a request without a Host is refused', async () => {
      const connection = await RawConnection.open(berth.url);
      await connection.send('GET /v2/ HTTP/1.1\r\n\r\n');
      // Node's own response, without a body.
      expect(String(await connection.rest())).toMatch(/^HTTP\/1\.1 400 /);
      connection.leave();
    });
  });

  describe('one connection for several requests', () => {
    it('14. pipelined requests get their responses in order', async () => {
      const connection = await RawConnection.open(berth.url);
      const paths = [
        `/v2/${name}/blobs/${DIGEST}`,
        '/v2/',
        `/v2/${name}/blobs/${digestOf('none')}`,
        `/v2/${name}/blobs/${DIGEST}`,
      ];
      await connection.send(...paths.map((path) => requestHead('GET', path)));
      const responses = [];
      for (const _ of paths) {
        const response = await connection.response();
        responses.push([response.status, await response.text()]);
      }
      connection.leave();
      expect(responses.map(([status]) => status)).toEqual([200, 200, 404, 200]);
      expect([responses[0]![1], responses[3]![1]]).toEqual([BLOB, BLOB]);
    });

    it('14. garbage after a request does not get into its response', async () => {
      const large = randomBytes(8_000_000);
      const repository = freshName('large');
      const digest = await client.pushBlob(repository, large);
      const connection = await RawConnection.open(berth.url);
      await connection.send(requestHead('GET', `/v2/${repository}/blobs/${digest}`));
      const first = await connection.some();
      await connection.send('garbage\r\n\r\n');
      const responses = Buffer.concat([first, await connection.rest()]);
      connection.leave();
      const body = responses.subarray(responses.indexOf('\r\n\r\n') + 4);
      expect(digestOf(body.subarray(0, large.length))).toBe(digest);
      expect(String(body.subarray(large.length))).toMatch(/^HTTP\/1\.1 400 /);
      await client.fetch(`/v2/${repository}/blobs/${digest}`, { method: 'DELETE' });
      before = await stored();
    });

    it('9. a refused upload gets its response while its body is still being sent', async () => {
      const connection = await RawConnection.open(berth.url);
      const path = `/v2/${name}/blobs/uploads/?digest=sha256:short`;
      await connection.send(requestHead('POST', path, [['Content-Length', 10_000_000]]));
      for (let sent = 0; sent < 10_000_000; sent += 1_000_000) await connection.send(Buffer.alloc(1_000_000));
      expect(await refusal(await connection.response())).toBe('400 DIGEST_INVALID');
      connection.leave();
    });

    it('4. Expect: 100-continue gets its response before the body is sent', async () => {
      const location = await client.startUpload(name);
      const connection = await RawConnection.open(berth.url);
      const head = requestHead('PATCH', location, [
        ['Content-Length', 5],
        ['Expect', '100-continue'],
      ]);
      await connection.send(head);
      expect(String(await connection.some())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      await connection.send('hello');
      expect((await connection.response()).status).toBe(202);
      connection.leave();
      await client.fetch(location, { method: 'DELETE' });
    });
  });
});
