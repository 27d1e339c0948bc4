import { beforeAll, describe, expect, it } from '@jest/globals';
import { homePage } from '../support/home-page.js';
import { rawRequest } from '../support/raw-http.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('GET /', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let host: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    ({ host } = new URL(berth.url));
  });

  it.each([
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    '*/*',
    'text/html, application/json;q=0.5',
    'image/png',
    undefined,
  ])('is a page for people with Accept: %s', async (accept) => {
    const headers = accept === undefined ? [] : ([['Accept', accept]] as const);
    const response = await rawRequest(berth.url, 'GET', '/', headers);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await response.text()).toMatch(/^<!doctype html>\n<html lang="en">/);
  });

  it.each(['application/json', 'application/json, text/html;q=0.5'])(
    'is JSON with Accept: %s',
    async (accept) => {
      const response = await client.fetch('/', { headers: { Accept: accept } });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
      expect(await response.json()).toEqual({
        name: 'berth',
        version: '0.1.0',
        registry: host,
        url: `${berth.url}/v2/`,
        login: expect.stringContaining('No login is needed'),
        links: { swaggerUi: '/api/docs', openApi: '/api/docs-json', ready: '/health/ready' },
      });
    },
  );

  it('has the same headers for HEAD, and no body', async () => {
    const get = await rawRequest(berth.url, 'GET', '/');
    const head = await rawRequest(berth.url, 'HEAD', '/');
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const name of ['content-type', 'content-length', 'content-security-policy', 'vary'])
      expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
  });

  it('runs no script, loads nothing, cannot be framed and is not cached', async () => {
    const { headers } = await client.fetch('/');
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; img-src data:; .*frame-ancestors 'none'$/,
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('vary')).toBe('Accept');
  });

  it('names the version, the address to push to and how to log in', async () => {
    const page = await (await client.fetch('/')).text();
    expect(page).toContain('Version 0.1.0');
    expect(page).toContain(`docker push ${host}/demo/my-image</pre>`);
    expect(page).toContain(`podman push --tls-verify=false my-image ${host}/demo/my-image</pre>`);
    expect(page).toContain(`curl ${berth.url}/v2/_catalog</pre>`);
    expect(page).toContain('No login is needed');
    expect(page).not.toContain('insecure-registries');
  });

  it('links to pages that exist, on this host', async () => {
    const page = await (await client.fetch('/')).text();
    const links = [...page.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href!);
    expect(links).toEqual(['/api/docs', '/api/docs-json', '/health/ready']);
    for (const link of links) expect([link, (await client.fetch(link)).status]).toEqual([link, 200]);
    expect(page).not.toMatch(/(?:src|href)="(?!\/(?!\/)|data:)/);
  });

  const REFUSED =
    'Requests to this address are refused: without ACCESS_MODE=open, the Host must be a loopback name: ' +
    '127.0.0.1, [::1] or localhost. With ACCESS_MODE=token, clients that log in may use it; with ' +
    'ACCESS_MODE=open, every client that can reach Berth may pull, push and delete images.';

  it.each(['registry.example.org', 'registry.example.com:8443', '$(reboot)', "a'b"])(
    'says that the address is refused, without commands, on loopback: %s',
    async (foreign) => {
      expect((await homePage(berth.url, foreign, [], '/v2/')).status).toBe(403);
      const page = await (await homePage(berth.url, foreign)).text();
      expect(page).toContain(`<p>${REFUSED}</p>`);
      expect(page).not.toMatch(/docker push|podman|curl|No login is needed|reboot/);
      const json = await homePage(berth.url, foreign, [['Accept', 'application/json']]);
      expect(await json.json()).toEqual({
        ...{ name: 'berth', version: '0.1.0', refused: REFUSED },
        registry: expect.any(String),
        url: expect.any(String),
        links: { swaggerUi: '/api/docs', openApi: '/api/docs-json', ready: '/health/ready' },
      });
    },
  );

  it('does not believe forwarded headers without a trusted proxy', async () => {
    const headers = { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https' };
    const page = await (await client.fetch('/', { headers })).text();
    expect(page).not.toContain('evil.example');
    expect(page).not.toContain('https://');
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const response = await client.fetch('/', { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });
});
