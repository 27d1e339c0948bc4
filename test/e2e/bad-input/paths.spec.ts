import { describe, expect, it } from '@jest/globals';
import { refusal, specErrors } from '../../support/registry-client.js';
import { BLOB, DIGEST, useStoredContent } from './stored-content.js';

describe('bad input: paths that lead outside', () => {
  const registry = useStoredContent();
  const { name, raw } = registry;
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
  const positions: [position: string, method: string, path: (value: string) => string, expected: RegExp][] = [
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
    ['reference', 'DELETE', (value) => `/v2/${name}/manifests/${value}`, /^400 (MANIFEST|DIGEST)_INVALID$/],
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
        ['PUT', `${registry.session}?digest=${value}`, '400 DIGEST_INVALID'],
        ['PUT', `/v2/${name}/manifests/${DIGEST}?tag=${value}`, '400 MANIFEST_INVALID'],
        ['GET', `/v2/${name}/tags/list?n=${value}`, '400 UNSUPPORTED'],
      ];
      for (const [method, path, expected] of asked) {
        expect(await refusal(await raw(method, path, [['Content-Length', 0]]))).toBe(expected);
      }
      for (const mount of [`mount=${DIGEST}&from=${value}`, `mount=${value}&from=${name}`]) {
        const { status } = await raw('POST', `${uploads}?${mount}`, [['Content-Length', 0]]);
        expect(status).toBe(202);
      }
      // Parameters that accept any text.
      for (const path of [`tags/list?last=${value}`, `referrers/${DIGEST}?artifactType=${value}`]) {
        const { status } = await raw('GET', `/v2/${name}/${path}`);
        expect(status).toBe(/%00|%ff|%$/.test(value) ? 400 : 200);
      }
    },
  );

  it.each([
    ['/v2/%zz/tags/list', 'invalid path: "%zz" at character 5'],
    [`/v2/${name}/manifests/a%2`, `invalid path: "%2" at character ${name.length + 17}`],
    ['/v2/%C3%28/tags/list', 'invalid path: "%C3%28" at character 5'],
    ['/v2/_catalog?n=2&last=a%zz', 'invalid last: "%zz" at character 2'],
    [`/v2/${name}/tags/list?n=%zz`, 'invalid n: "%zz" at character 1'],
    [`/v2/${name}/referrers/${DIGEST}?artifactType=a/b%ff`, 'invalid artifactType: "%ff" at character 4'],
  ])('32. %s: the message says what cannot be decoded, and where', async (path, message) => {
    const [error] = await specErrors(await raw('GET', path));
    expect(error?.message).toBe(
      `${message} is malformed; expected ${/%ff|%C3/.test(path) ? 'the bytes of UTF-8 text' : '% and two hexadecimal digits'}`,
    );
  });

  it.each([
    ['POST', `/v2/${name}/blobs/uploads/?digest-algorithm=sha256&digest-algorithm=sha256`],
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
