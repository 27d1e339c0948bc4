import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { type RawHeaders, rawRequest } from '../support/raw-http.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const PAGE = 'https://ui.example.org';
const OTHER = 'https://other.example.org';

const corsHeaders = ({ headers }: Response) => [...headers.keys()].filter((name) => /^access-/.test(name));

describe.each([
  ['listed origins', `http://localhost:8080,${PAGE}`],
  ['*', '*'],
])('web pages with CORS_ORIGINS: %s', (_, origins) => {
  const isAll = origins === '*';
  let berth: TestBerth;
  let digest: string;
  beforeAll(async () => {
    berth = await startTestBerth({ CORS_ORIGINS: origins });
    digest = await new RegistryClient(berth.url).pushBlob('cors', 'content');
  });
  afterAll(() => berth.dispose());

  // `fetch` would not send these headers.
  const ask = (method: string, path: string, headers: RawHeaders = [['Origin', PAGE]]) =>
    rawRequest(berth.url, method, path, headers);

  it.each([
    ['GET', '/v2/', 200],
    ['GET', '/v2/cors/tags/list', 200],
    ['GET', '/v2/unknown/tags/list', 404],
    ['GET', '/v2/Wrong/tags/list', 400],
    ['GET', '/v2/nothing', 404],
    ['GET', '/v2/%zz/tags/list', 400],
    ['PUT', '/v2/cors/tags/list', 405],
    ['POST', '/v2/cors/blobs/uploads/', 202],
  ])('%s %s → %d, readable by the page', async (method, path, status) => {
    const response = await ask(method, path, [
      ['Origin', PAGE],
      ['Sec-Fetch-Site', 'cross-site'],
      ['Content-Length', 0],
    ]);
    expect(response.status).toBe(status);
    expect(response.headers.get('access-control-allow-origin')).toBe(isAll ? '*' : PAGE);
    expect(response.headers.get('access-control-allow-credentials')).toBe(isAll ? null : 'true');
    expect(response.headers.get('vary')).toBe(isAll ? null : 'Origin');
    const exposed = response.headers.get('access-control-expose-headers')?.split(',');
    expect(exposed).toEqual(
      expect.arrayContaining([
        ...['Docker-Content-Digest', 'ETag', 'Link', 'Location', 'Range', 'Content-Range'],
        ...['WWW-Authenticate', 'OCI-Subject', 'OCI-Filters-Applied', 'X-Request-Id'],
      ]),
    );
  });

  it('blobs, their HEAD and 304 are readable', async () => {
    const path = `/v2/cors/blobs/${digest}`;
    for (const [method, extra, status] of [
      ['GET', [], 200],
      ['HEAD', [], 200],
      ['GET', [['Range', 'bytes=0-1']], 206],
      ['GET', [['If-None-Match', `"${digest}"`]], 304],
    ] as [string, RawHeaders, number][]) {
      const response = await ask(method, path, [['Origin', PAGE], ...extra]);
      expect(response.status).toBe(status);
      expect(response.headers.get('access-control-allow-origin')).toBe(isAll ? '*' : PAGE);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
    }
  });

  it.each([
    ...['/v2/', '/v2/cors/manifests/latest', `/v2/cors/blobs/${digestOf('any')}`, '/v2/nothing'],
    ...['/auth/token', '/auth/token?service=berth'],
  ])('a preflight of %s → 204 with the methods and headers of registry clients', async (path) => {
    const response = await ask('OPTIONS', path, [
      ['Origin', PAGE],
      ['Access-Control-Request-Method', 'DELETE'],
      ['Access-Control-Request-Headers', 'authorization,accept'],
    ]);
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe(isAll ? '*' : PAGE);
    expect(response.headers.get('access-control-allow-methods')).toBe('GET,HEAD,POST,PATCH,PUT,DELETE');
    expect(response.headers.get('access-control-allow-headers')?.split(',')).toEqual(
      expect.arrayContaining(['Authorization', 'Accept', 'Content-Type', 'Content-Range', 'Range']),
    );
    expect(response.headers.get('access-control-max-age')).toBe('7200');
  });

  it('a page of another origin is refused, unless all are allowed', async () => {
    const response = await ask('GET', '/v2/', [['Origin', OTHER]]);
    expect(response.status).toBe(isAll ? 200 : 403);
    expect(response.headers.get('access-control-allow-origin')).toBe(isAll ? '*' : null);
    const preflight = await ask('OPTIONS', '/v2/', [
      ['Origin', OTHER],
      ['Access-Control-Request-Method', 'DELETE'],
    ]);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(isAll ? '*' : null);
  });

  it('the admin API is not for other pages', async () => {
    for (const method of ['GET', 'OPTIONS']) {
      const response = await ask(method, '/api/v1/overview');
      expect([response.status, corsHeaders(response)]).toEqual([403, []]);
    }
  });

  it.each(['/', '/auth/jwks', '/auth/tokens', '/auth/token/x', '/api/docs-json', '/health/ready', '/v2x'])(
    'nor is %s',
    async (path) => expect(corsHeaders(await ask('GET', path))).toEqual([]),
  );

  it('registry clients, which send no Origin, are served as before', async () => {
    const response = await ask('GET', `/v2/cors/blobs/${digest}`, []);
    expect([response.status, await response.text()]).toEqual([200, 'content']);
  });
});

describe('web pages of CORS_ORIGINS with ACCESS_MODE=token', () => {
  let berth: TestBerth;
  beforeAll(async () => void (berth = await startTestBerth({ CORS_ORIGINS: PAGE, ACCESS_MODE: 'token' })));
  afterAll(() => berth.dispose());

  it('can read the challenge of /v2, and the refusal of a token', async () => {
    for (const path of ['/v2/', '/auth/token?service=berth']) {
      const response = await rawRequest(berth.url, 'GET', path, [['Origin', PAGE]]);
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(response.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate');
    }
  });

  it('cannot read /api/v1, and other pages nothing', async () => {
    for (const [origin, path] of [
      [PAGE, '/api/v1/overview'],
      [OTHER, '/v2/'],
    ] as const) {
      const response = await rawRequest(berth.url, 'GET', path, [['Origin', origin]]);
      expect([path, response.status, response.headers.get('access-control-allow-origin')]).toEqual([
        ...[path, 401, null],
      ]);
    }
  });
});

describe('web pages without CORS_ORIGINS', () => {
  let berth: TestBerth;
  beforeAll(async () => void (berth = await startTestBerth()));
  afterAll(() => berth.dispose());

  it('get no headers, and OPTIONS is no method', async () => {
    const own = await rawRequest(berth.url, 'GET', '/v2/', []);
    const preflight = await rawRequest(berth.url, 'OPTIONS', '/v2/', []);
    expect([own.status, corsHeaders(own)]).toEqual([200, []]);
    expect([preflight.status, corsHeaders(preflight)]).toEqual([405, []]);
  });
});
