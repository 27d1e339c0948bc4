import { beforeAll, describe, expect, it } from '@jest/globals';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('admin API', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });

  it('gives an overview', async () => {
    type Counts = Record<string, number>;
    // Other tests may have pushed the config of every image, or not.
    await client.pushBlob(freshName(), '{}');
    const before = await admin.get<{ counts: Counts }>('/overview');
    const [image, other, third] = [freshName(), freshName(), freshName()];
    const manifest = await client.makeImage(image, [image]);
    await client.putManifest(image, 'one', manifest);
    await client.putManifest(image, 'two', manifest);
    await client.pushBlob(other, image);
    await client.startUpload(third);
    const overview = await admin.get<{
      uptimeSeconds: number;
      storage: { freeBytes: number };
      counts: Counts;
    }>('/overview');
    expect(overview).toMatchObject({
      version: '0.1.0',
      nodeVersion: process.version,
      storage: { driver: 'filesystem', location: join(berth.dataDir, 'storage') },
      // The database of these tests is not embedded.
      database: { serverVersion: expect.stringMatching(/^\d+\.\d+/), freeBytes: null },
      hashImplementation: 'openssl',
      access: { mode: 'loopback', loopbackOnly: true },
    });
    const { bavail, bsize } = await statfs(berth.dataDir);
    expect(overview.storage.freeBytes).toBeGreaterThan((bavail * bsize) / 2);
    expect(overview.storage.freeBytes).toBeLessThan(bavail * bsize * 2);
    const added = Object.entries(overview.counts).map(([name, count]) => [
      name,
      count - (before.counts[name] ?? NaN),
    ]);
    expect(Object.fromEntries(added)).toEqual({
      repositories: 2,
      manifests: 1,
      tags: 2,
      blobs: 1,
      blobBytes: image.length,
      uploadsInProgress: 1,
    });
    expect(overview.uptimeSeconds).toBeGreaterThanOrEqual(0);
    expect(JSON.stringify(overview)).not.toContain('postgres://');
  });

  it('sends headers that restrict how responses are used', async () => {
    for (const path of ['/overview', '/nothing', '/repositories/no']) {
      const response = await admin.fetch(path);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(response.headers.get('docker-distribution-api-version')).toBeNull();
    }
  });

  it('refuses pages of other origins', async () => {
    const headers = { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'DELETE' };
    const path = '/uploads/00000000-0000-4000-8000-000000000000';
    const preflight = await admin.fetch(path, { method: 'OPTIONS', headers });
    expect(preflight.ok).toBe(false);
    expect([...preflight.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it.each(['/nothing', '', '/', '/uploads/a/b', '/%00'])('%j is no endpoint', async (path) => {
    expect((await admin.problem(path, 404)).detail).toBe('no such endpoint');
  });

  it.each([
    ['POST', '/overview', 'GET, HEAD'],
    ['PUT', '/repositories/a%2Fb', 'GET, HEAD, DELETE'],
    ['DELETE', '/repositories/a/b/tags', 'GET, HEAD'],
    ['PUT', '/repositories/a%2Fb/tags', 'GET, HEAD'],
    ['PATCH', '/uploads/00000000-0000-4000-8000-000000000000', 'GET, HEAD, DELETE'],
    ['POST', '/me', 'GET, HEAD'],
    ['GET', '/me/password', 'PUT'],
    ['PUT', '/me/tokens', 'GET, HEAD, POST'],
    ['GET', '/me/tokens/0123456789ab', 'DELETE'],
    ['DELETE', '/users', 'GET, HEAD, POST'],
    ['PUT', '/users/alice', 'GET, HEAD, PATCH, DELETE'],
    ['PUT', '/robots/ci', 'GET, HEAD, PATCH, DELETE'],
    ['PATCH', '/robots/ci/tokens', 'GET, HEAD, POST'],
    ['PATCH', '/robots/ci/tokens/0123456789ab', 'DELETE'],
  ])('%s %s: 405', async (method, path, allow) => {
    expect((await admin.problem(path, 405, { method })).title).toBe('Method Not Allowed');
    expect((await admin.fetch(path, { method })).headers.get('allow')).toBe(allow);
  });

  const name = freshName();
  const encoded = encodeURIComponent(name);
  const UGLY = ['%00', '%ff', 'a%00b', '%2e%2e%2f', "'%20OR%201=1--", '%F0%9F%92%A5', '%ED%A0%80'];

  // Which values are valid is decided, and tested, by PageQueryDto and KeysetCursor.
  it.each([
    ['/repositories', 'tags:a'],
    [`/repositories/${encoded}/tags`, 'uploads:a'],
    [`/repositories/${encoded}/manifests`, 'uploads:a'],
    ['/uploads', 'tags:a'],
  ])('%s: 400 for a bad query', async (list, otherList) => {
    await client.pushBlob(name, 'so that the repository exists');
    const foreign = `cursor=${Buffer.from(otherList).toString('base64url')}`;
    for (const query of [
      'limit=0',
      'limit=1&limit=2',
      'cursor[]=a',
      'cursor=%ff',
      'offset=5',
      '%00=1',
      foreign,
    ]) {
      const problem = await admin.problem(`${list}?${query}`, 400);
      expect(problem.title).toBe('Bad Request');
      expect(problem.detail).not.toBe('');
      expect(problem.detail.length).toBeLessThan(500);
    }
    expect((await admin.fetch(`${list}?__proto__=x&constructor=x&toString=x`)).status).toBe(200);
  });

  it.each(UGLY)('%s: 400 wherever a name, a digest or a prefix belongs', async (ugly) => {
    await admin.problem(`/repositories?q=${ugly}%20`, 400);
    await admin.problem(`/repositories/${ugly}`, 400);
    await admin.problem(`/repositories/${ugly}/tags`, 400);
    await admin.problem(`/repositories/${ugly}/manifests`, 400);
    await admin.problem(`/repositories/a%2Fb/manifests/${ugly}`, 400);
  });

  it.each(['/%zz', '/repositories/%', '/uploads/%f'])(
    '%s: 400 for a path that can not be decoded',
    async (path) => {
      const { detail } = await admin.problem(path, 400);
      expect(detail).toMatch(/^invalid path: "%\w*" at character \d+ is malformed; expected % and two hex/);
    },
  );

  it('hides the cause of an internal error', async () => {
    await berth.query('ALTER TABLE repositories RENAME TO hidden');
    try {
      const { detail } = await admin.problem('/repositories', 500);
      expect(detail).toBe('internal error');
    } finally {
      await berth.query('ALTER TABLE hidden RENAME TO repositories');
    }
  });
});
