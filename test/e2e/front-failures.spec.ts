import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { freshName } from '../support/fresh-name.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth, sharedBerth, startFront } from '../support/running-berth.js';
import { until } from '../support/until.js';

describe('a front with little patience', () => {
  let front: OwnBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    const { url } = await sharedBerth();
    front = await startFront([url], { REQUEST_IDLE_TIMEOUT_SECONDS: '1' });
    client = new RegistryClient(front.url);
  });
  afterAll(() => front.dispose());

  it.each([1_000, 2_000_000])(
    'aborts a body of %i bytes that stalls, and keeps its bytes',
    async (length) => {
      const location = await client.startUpload(freshName());
      const connection = await RawConnection.open(front.url);
      await connection.send(requestHead('PATCH', location, [['Content-Length', length]]), 'then nothing');
      const response = await connection.response();
      connection.leave();
      expect([response.status, response.headers.get('connection')]).toEqual([408, 'close']);
      expect(await response.text()).toContain('no data received for 1 s');
      // A short one is sent when it is complete.
      const offset = length > 1_000_000 ? '12' : '0';
      // The replica keeps them when it sees the end of the front's request.
      await until('the bytes are durable', async () => {
        return (await client.fetch(location)).headers.get('upload-offset') === offset;
      });
    },
  );
});

describe('a front without a replica', () => {
  let front: OwnBerth;
  beforeAll(async () => {
    front = await startFront(['http://127.0.0.1:1'], { FRONT_RETRY_SECONDS: '1' });
  });
  afterAll(() => front.dispose());

  it('says when to ask again', async () => {
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['GET', `/v2/a/blobs/sha256:${'0'.repeat(64)}`],
      ['PATCH', `/v2/a/blobs/uploads/${randomUUID()}`],
    ] as const) {
      const body = method === 'PATCH' ? 'bytes' : null;
      const response = await fetch(front.url + path, { method, body });
      expect([response.status, Number(response.headers.get('retry-after'))]).toEqual([
        503,
        expect.any(Number),
      ]);
      expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
      expect(await response.text()).toContain('no replica answered for 1 s');
    }
  });

  it('lives, and is not ready', async () => {
    const ready = await fetch(`${front.url}/health/ready`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'unavailable', checks: { replicas: 'failed' } },
    ]);
    expect((await fetch(`${front.url}/health/live`)).status).toBe(200);
  });

  it('logs why', () => {
    const log = readFileSync(front.logFile, 'utf8');
    expect(log).toContain('no replica is ready yet: requests wait for one');
    expect(log).toContain('no replica answered for 1 s: none is ready');
  });
});

describe('a front of a replica with accounts', () => {
  let replica: OwnBerth;
  let front: OwnBerth;
  let admin: Login;
  const send = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
    fetch(front.url + path, { ...init, headers });

  beforeAll(async () => {
    replica = await OwnBerth.start({ ACCESS_MODE: 'token', TRUSTED_PROXIES: '127.0.0.1' });
    front = await startFront([replica.url], { TRUSTED_PROXIES: '127.0.0.1' });
    const accounts = new AccessFixtures((sql, parameters) => replica.query(sql, parameters));
    admin = await accounts.account('front-admin', { role: 'admin' });
  });
  afterAll(async () => {
    await front.dispose();
    await replica.dispose();
  });

  it('is where clients log in', async () => {
    const refused = await send('/v2/', {});
    const realm = `realm="${front.url}/auth/token"`;
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer ${realm},service="berth"`,
    ]);
    const login = await send('/auth/token?scope=registry:catalog:*', { Authorization: admin.authorization });
    const { token } = (await login.json()) as { token: string };
    expect((await send('/v2/_catalog', { Authorization: `Bearer ${token}` })).status).toBe(200);
    const wrong = await send('/auth/token', { Authorization: basic(admin.name, 'wrong') });
    expect(wrong.status).toBe(401);
  });

  it('tells the replica who the client is', async () => {
    const id = randomUUID();
    const headers = { 'X-Request-Id': id, 'X-Forwarded-For': '9.9.9.9, 192.0.2.7' };
    await send('/v2/_catalog', headers);
    const line = () => replica.log().filter(({ requestId }) => requestId === id);
    await until('the line of the request', () => line().length > 0);
    expect(line()).toMatchObject([{ clientAddress: '192.0.2.7' }]);
  });

  it('does not repeat what a replica may have done and has no key for', async () => {
    process.kill(replica.pid, 'SIGSTOP');
    const body = JSON.stringify({ name: 'twice', kind: 'robot' });
    const headers = { Authorization: admin.authorization, 'Content-Type': 'application/json' };
    const lost = await send('/api/v1/accounts', headers, { method: 'POST', body });
    expect([lost.status, lost.headers.get('retry-after')]).toEqual([503, expect.any(String)]);
    expect(await lost.text()).toContain('may have done it: check before you repeat it');
    await replica.kill();
  });
});
