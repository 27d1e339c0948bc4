import { beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('Expect: 100-continue', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const name = freshName();
  const digest = digestOf('content');

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const open = async (method: string, path: string, length: number, headers: RawHeaders = []) => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(
      requestHead(method, path, [['Content-Length', length], ['Expect', '100-continue'], ...headers]),
    );
    return connection;
  };

  const unknown = `/v2/${name}/blobs/uploads/${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`;

  it.each<[string, string, string, RawHeaders, number]>([
    ['an unknown upload', 'PATCH', unknown, [], 404],
    ['an unknown upload at the end', 'PUT', `${unknown}?digest=${digest}`, [], 404],
    ['a content coding', 'PATCH', unknown, [['Content-Encoding', 'gzip']], 415],
    ['a malformed digest', 'POST', `/v2/${name}/blobs/uploads/?digest=sha256:short`, [], 400],
    ['an invalid name', 'POST', `/v2/UPPER/blobs/uploads/?digest=${digest}`, [], 400],
    ['an invalid tag', 'PUT', `/v2/${name}/manifests/-`, [['Content-Type', OCI_MANIFEST]], 400],
    ['a manifest that is too large', 'PUT', `/v2/${name}/manifests/large`, [], 413],
    ['a page of another site', 'POST', `/v2/${name}/blobs/uploads/`, [['Sec-Fetch-Site', 'cross-site']], 403],
    ['an unknown path', 'PUT', '/elsewhere', [], 404],
  ])('requests no body for %s', async (_, method, path, headers, status) => {
    const connection = await open(method, path, 100_000_000, headers);
    const response = String(await connection.some());
    connection.leave();
    expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(response).toMatch(/^Connection: close\r$/im);
  });

  it('requests no body for a Content-Range that the upload is not at', async () => {
    const location = await client.startUpload(name);
    const connection = await open('PATCH', location, 1_000, [['Content-Range', '5-1004']]);
    expect(String(await connection.some())).toMatch(/^HTTP\/1\.1 416 /);
    connection.leave();
    await client.fetch(location, { method: 'DELETE' });
  });

  it.each([7, 1_000_000])('requests a body of %i bytes when it is read', async (length) => {
    const body = Buffer.alloc(length, 'content');
    const [location, other] = [await client.startUpload(name), await client.startUpload(name)];
    for (const [method, path, status] of [
      ['PATCH', location, 202],
      ['PUT', `${other}?digest=${digestOf(body)}`, 201],
      ['POST', `/v2/${name}/blobs/uploads/?digest=${digestOf(body)}`, 201],
    ] as const) {
      const connection = await open(method, path, length);
      expect(String(await connection.some())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      await connection.send(body);
      expect((await connection.response()).status).toBe(status);
      // The connection can be used again.
      await connection.send(requestHead('GET', '/v2/'));
      expect((await connection.response()).status).toBe(200);
      connection.leave();
    }
    await client.fetch(location, { method: 'DELETE' });
  });

  it('accepts a body that the client sent without waiting', async () => {
    const location = await client.startUpload(name);
    const connection = await open('PATCH', location, 5);
    await connection.send('hello');
    expect((await connection.response()).status).toBe(202);
    connection.leave();
    await client.fetch(location, { method: 'DELETE' });
  });
});
