import { describe, expect, it } from '@jest/globals';
import { RawConnection, type RawHeaders } from '../../support/raw-http.js';
import { digestOf, OCI_MANIFEST, refusal } from '../../support/registry-client.js';
import { DIGEST, useStoredContent } from './stored-content.js';

describe('bad input: headers', () => {
  const registry = useStoredContent();
  const { name, raw } = registry;
  const upload: RawHeaders = [['Content-Length', 4]];
  it.each<[string, string, () => string, RawHeaders, string]>([
    [
      'Content-Range',
      'PATCH',
      () => registry.session,
      [['Content-Range', '5-8'], ['Content-Range', '5-8'], ...upload],
      '400 BLOB_UPLOAD_INVALID',
    ],
    [
      'Content-Range',
      'PUT',
      () => `${registry.session}?digest=${DIGEST}`,
      [['Content-Range', '5-8'], ['Content-Range', '0-3'], ...upload],
      '400 BLOB_UPLOAD_INVALID',
    ],
    [
      'Content-Length',
      'PATCH',
      () => registry.session,
      [...upload, ['Content-Length', 5]],
      '400 UNSUPPORTED',
    ],
    ['Content-Length (the same)', 'PATCH', () => registry.session, [...upload, ...upload], '400 UNSUPPORTED'],
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
      () => registry.session,
      [
        ['Transfer-Encoding', 'identity'],
        ['Transfer-Encoding', 'chunked'],
      ],
      '400 UNSUPPORTED',
    ],
  ])('4. %s twice in a %s is refused', async (_, method, path, headers, expected) => {
    expect(await refusal(await raw(method, path(), headers, 'four'))).toBe(expected);
  });

  describe.each<[string, () => string]>([
    ['PUT', () => `/v2/${name}/manifests/stored`],
    ['DELETE', () => `/v2/${name}/manifests/stored`],
    ['DELETE', () => `/v2/${name}/blobs/${DIGEST}`],
    ['POST', () => `/v2/${name}/blobs/uploads/?mount=${DIGEST}&from=${name}`],
  ])('32. an Idempotency-Key of a %s is refused', (method, path) => {
    it.each<[string, readonly string[]]>([
      ['twice', ['one', 'one']],
      ['without text', ['']],
      ['of 256 characters', ['x'.repeat(256)]],
      ['with a space', ['a b']],
      ['with a character beyond ASCII', ['\xe9']],
    ])('%s', async (_, values) => {
      const headers: RawHeaders = [...values.map((value) => ['Idempotency-Key', value] as const), ...upload];
      expect(await refusal(await raw(method, path(), headers, 'four'))).toBe('400 UNSUPPORTED');
    });
  });

  it.each(['gzip', 'GZIP', 'identity, zstd', 'br', 'aws-chunked'])(
    '4. the Content-Encoding %s is refused before the body is read',
    async (coding) => {
      const headers: RawHeaders = [['Content-Encoding', coding], ...upload];
      for (const [method, path] of [
        ['PATCH', registry.session],
        ['PUT', `${registry.session}?digest=${digestOf('four')}`],
        ['POST', `/v2/${name}/blobs/uploads/?digest=${digestOf('four')}`],
      ] as const) {
        expect(await refusal(await raw(method, path, headers, 'four'))).toBe('415 UNSUPPORTED');
      }
    },
  );

  it.each(['identity', 'Identity', ''])('4. the Content-Encoding "%s" changes nothing', async (coding) => {
    const location = await registry.client.startUpload(name);
    const headers: RawHeaders = [['Content-Encoding', coding], ...upload];
    expect((await raw('PATCH', location, headers, 'four')).status).toBe(202);
    await registry.client.fetch(location, { method: 'DELETE' });
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
      const connection = await RawConnection.open(registry.berth.url);
      await connection.send(garbage);
      const response = await connection.response();
      expect(response.headers.get('connection')).toBe('close');
      expect(await refusal(response)).toBe('400 UNSUPPORTED');
      expect(await connection.rest()).toHaveLength(0);
      connection.leave();
    }
  });

  it('32. a request without a Host is refused', async () => {
    const connection = await RawConnection.open(registry.berth.url);
    await connection.send('GET /v2/ HTTP/1.1\r\n\r\n');
    // Node's own response, without a body.
    expect(String(await connection.rest())).toMatch(/^HTTP\/1\.1 400 /);
    connection.leave();
  });
});
