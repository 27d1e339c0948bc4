import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { RawConnection, rawRequest, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { until } from '../support/until.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { bytesArrived } from '../support/stored-files.js';

describe('errors', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let digest: string;
  let session: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('errors');
    digest = await client.pushBlob(name, 'stored');
    session = await client.startUpload(name);
  });

  /** The path of every endpoint, with its methods. */
  const endpoints = (): [path: string, allow: string][] => [
    ['/v2/', 'GET, HEAD'],
    ['/v2/_catalog', 'GET, HEAD'],
    [`/v2/${name}/tags/list`, 'GET, HEAD'],
    [`/v2/${name}/referrers/${digest}`, 'GET, HEAD'],
    [`/v2/${name}/blobs/uploads/`, 'POST'],
    [`/v2/${name}/blobs/uploads`, 'POST'],
    [session, 'GET, HEAD, PATCH, PUT, DELETE'],
    [`/v2/${name}/blobs/${digest}`, 'GET, HEAD, DELETE'],
    [`/v2/${name}/manifests/latest`, 'GET, HEAD, PUT, DELETE'],
  ];

  it("31. every refusal has the spec's shape: { errors: [{ code, message, detail }] }", async () => {
    const [error, ...others] = await specErrors(await client.fetch(`/v2/${name}/blobs/${digestOf('no')}`));
    expect(error).toEqual({
      code: 'BLOB_UNKNOWN',
      message: expect.any(String),
      detail: { digest: digestOf('no') },
    });
    expect(others).toEqual([]);
  });

  /** Takes a table away that every pull needs, while `work` runs: a failure that no code expects. */
  async function withBrokenPulls(work: () => Promise<void>): Promise<void> {
    await berth.query('ALTER TABLE repository_blobs RENAME TO hidden');
    await work().finally(() => berth.query('ALTER TABLE hidden RENAME TO repository_blobs'));
  }

  it('31. an unknown failure is an opaque 500 with a request id; its cause goes to the log', async () => {
    await withBrokenPulls(async () => {
      berth.forgetLog();
      const headers = { 'X-Request-Id': 'asked-for.1' };
      const response = await client.fetch(`/v2/${name}/blobs/${digest}`, { headers });
      expect([response.status, response.headers.get('content-type')]).toEqual([500, 'application/json']);
      expect(await response.json()).toEqual({
        errors: [{ code: 'UNKNOWN', message: expect.any(String), detail: { requestId: 'asked-for.1' } }],
      });
      const errors = () => berth.log().filter(({ err }) => err !== undefined);
      await until('the line of the log', () => errors().length > 0);
      expect(errors()).toMatchObject([
        { requestId: 'asked-for.1', err: { message: expect.stringContaining('repository_blobs') } },
      ]);
    });
  });

  it('31. the opaque message does not reveal the cause', async () => {
    await withBrokenPulls(async () => {
      const text = await (await client.fetch(`/v2/${name}/blobs/${digest}`)).text();
      expect(text).not.toMatch(/repository_blobs|relation|Error/);
      // Without a client's id, Berth makes one.
      expect(text).toMatch(/"requestId":"[0-9a-f-]{36}"/);
    });
  });

  it("31. a full disk of an external database is a 507 at once; a retry wouldn't help", async () => {
    const image = await client.makeImage(name);
    await berth.query(`
      CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER no_space BEFORE INSERT ON uploads EXECUTE FUNCTION no_space();
      CREATE TRIGGER no_space BEFORE INSERT ON manifests EXECUTE FUNCTION no_space();
    `);
    try {
      const started = await client.fetch(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
      expect(started.status).toBe(507);
      expect(await started.json()).toMatchObject({
        errors: [{ code: 'UNKNOWN', message: 'the disk of the database is full' }],
      });
      expect((await client.putManifest(name, 'v1', image)).status).toBe(507);
      expect((await client.fetch(`/v2/${name}/blobs/${digest}`)).status).toBe(200);
    } finally {
      await berth.query('DROP FUNCTION no_space CASCADE');
    }
  });

  it('32. an unknown repository is NAME_UNKNOWN', async () => {
    const unknown = freshName('unknown');
    for (const path of ['tags/list', 'manifests/latest', `manifests/${digest}`]) {
      expect(await refusal(await client.fetch(`/v2/${unknown}/${path}`))).toBe('404 NAME_UNKNOWN');
    }
    const response = await client.fetch(`/v2/${unknown}/manifests/latest`, { method: 'DELETE' });
    expect(await refusal(response)).toBe('404 NAME_UNKNOWN');
  });

  it('32. reads and failed requests do not create a repository', async () => {
    const unknown = freshName('unknown');
    await client.fetch(`/v2/${unknown}/blobs/${digest}`);
    await client.fetch(`/v2/${unknown}/referrers/${digest}`);
    await client.putManifest(unknown, 'latest', '{');
    await client.startUpload(unknown);
    const after = async (last: string) => (await client.fetch(`/v2/_catalog?last=${last}`)).text();
    expect(await after('errors/')).toContain(name);
    expect(await after('unknown/')).not.toContain(unknown);
  });

  it.each([
    'a',
    '0',
    'a/b/c/d/e/f/g/h/i/j',
    'a.b_c__d-e---f/g',
    'blobs/uploads/manifests/tags/list',
    'v2/_'.replace('_', 'catalog'),
    'x'.repeat(255),
    `${'ab/'.repeat(84)}abc`,
  ])('32. %s is a name', async (valid) => {
    expect(valid.length).toBeLessThanOrEqual(255);
    const image = await client.makeImage(valid, [valid]);
    expect((await client.putManifest(valid, 'latest', image)).status).toBe(201);
    expect(await (await client.fetch(`/v2/${valid}/tags/list`)).json()).toEqual({
      name: valid,
      tags: ['latest'],
    });
    expect(String(await client.blob(valid, digestOf(valid)))).toBe(valid);
    expect((await client.fetch(`/v2/${valid}/manifests/latest`)).status).toBe(200);
  });

  it('32. a wrong method is a 405 UNSUPPORTED that lists the allowed ones', async () => {
    for (const [path, allow] of endpoints()) {
      for (const method of [
        'GET',
        'HEAD',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'OPTIONS',
        'TRACE',
        'PROPFIND',
      ]) {
        const allowed = allow.split(', ');
        if (allowed.includes(method)) continue;
        const response = await rawRequest(berth.url, method, path, [['Content-Length', 0]]);
        expect([path, method, response.status]).toEqual([path, method, 405]);
        expect(response.headers.get('allow')).toBe(allow);
        if (method === 'HEAD') expect(await response.text()).toBe('');
        else expect(await refusal(response)).toBe('405 UNSUPPORTED');
      }
    }
    // None of these requests had an effect.
    expect((await client.fetch(session)).status).toBe(204);
  });

  it('32. a method that HTTP does not have is refused', async () => {
    const response = await rawRequest(berth.url, 'FOO', `/v2/${name}/tags/list`);
    expect(await refusal(response)).toBe('400 UNSUPPORTED');
  });

  it('32. an upload that another request took over is a 429 TOOMANYREQUESTS with Retry-After', async () => {
    const location = await client.startUpload(name);
    const first = await RawConnection.open(berth.url);
    await first.send(requestHead('PATCH', location, [['Content-Length', 100]]), 'begun');
    await bytesArrived(berth, location, 5);
    expect((await client.patch(location, 'taken over')).status).toBe(202);
    const response = await first.response();
    expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(await refusal(response)).toBe('429 TOOMANYREQUESTS');
    first.leave();
  });

  it('33. GET /v2/ → 200', async () => {
    for (const path of ['/v2/', '/v2']) {
      const response = await client.fetch(path);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
      expect(await response.json()).toEqual({});
    }
  });

  it('33. Docker-Distribution-API-Version is everywhere on /v2', async () => {
    const manifest = await client.makeImage(name);
    await client.putManifest(name, 'latest', manifest);
    const paths = [
      ...endpoints().map(([path]) => path),
      '/v2/nothing',
      `/v2/${name}/nothing`,
      '/v2/%zz/tags/list',
    ];
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) {
        if (path === session && method === 'DELETE') continue;
        const { headers } = await client.fetch(path, { method });
        expect([method, path, headers.get('docker-distribution-api-version')]).toEqual([
          method,
          path,
          'registry/2.0',
        ]);
      }
    }
  });

  it.each([
    '/v2/nothing',
    '/v2/a/b',
    '/v2//tags/list',
    '/v2/a//tags/list/',
    '/v2/a/blobs',
    '/v2/a/manifests/',
  ])("31. %s, which is no endpoint, is refused in the spec's shape", async (path) => {
    expect(await refusal(await rawRequest(berth.url, 'GET', path))).toMatch(
      /^(404 UNSUPPORTED|400 NAME_INVALID)$/,
    );
  });
});
