import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { refusalsBy } from '../../src/observability/metrics/limit.metrics.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, errorCode, RegistryClient } from '../support/registry-client.js';
import { SlowRequest } from '../support/slow-request.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

const LIMITS = {
  UPLOAD_MAX_BODIES: '2',
  UPLOAD_MAX_SESSIONS: '5',
  UPLOAD_MAX_SESSIONS_PER_REPOSITORY: '3',
};

describe('limits of uploads', () => {
  let berth: TestBerth;
  let other: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth(LIMITS);
    const shared = { DATABASE_URL: berth.databaseUrl, STORAGE_FILESYSTEM_ROOT: `${berth.dataDir}/storage` };
    other = await startTestBerth({ ...LIMITS, ...shared });
    client = new RegistryClient(berth.url);
  });
  afterAll(async () => {
    await other.dispose();
    await berth.dispose();
  });

  const start = (name: string, at = client) => at.fetch(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const isRefused = async (response: Response) => {
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60']);
    expect(await errorCode(response)).toBe('TOOMANYREQUESTS');
  };

  it('refuses sessions beyond the limits, of all replicas, until one ends', async () => {
    const [name, another, third] = [freshName(), freshName(), freshName()];
    const open = [await start(name), await start(name, new RegistryClient(other.url)), await start(name)];
    const before = refusalsBy('repository_sessions');
    await isRefused(await start(name));
    await isRefused(
      await client.fetch(`/v2/${name}/blobs/uploads/?digest=${digestOf('x')}`, { method: 'POST', body: 'x' }),
    );
    expect(refusalsBy('repository_sessions')).toBe(before + 2);
    open.push(await start(another), await start(another));
    await isRefused(await start(third));
    await isRefused(await start(third, new RegistryClient(other.url)));

    expect(open.map(({ status }) => status)).toEqual(Array(5).fill(202));
    const rows = await berth.query(`SELECT FROM uploads WHERE state = 'open'`);
    expect(rows).toHaveLength(5);
    for (const response of open) {
      const location = String(response.headers.get('location'));
      expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
    }
    await until('room for a session', async () => (await start(name)).status === 202);
  });

  it('refuses bodies beyond the limit, until one ends', async () => {
    await berth.query(`UPDATE uploads SET state = 'cancelled'`);
    await until('room for sessions', async () => (await start(freshName())).status === 202);
    const [name, location] = [freshName(), await client.startUpload(freshName())];
    const slow = await Promise.all(
      [name, freshName()].map(async (each) => {
        const request = new SlowRequest('PATCH', new URL(await client.startUpload(each), berth.url));
        await request.send(Buffer.from('a part'));
        return request;
      }),
    );
    const append = () => client.fetch(location, { method: 'PATCH', body: 'bytes' });
    const writing = `SELECT FROM uploads WHERE lease_holder IS NOT NULL`;
    await until('two bodies', async () => (await berth.query(writing)).length === 2);
    const refused = await append();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    // Requests without a body are no part of it.
    expect((await client.fetch(location)).status).toBe(204);
    expect(refusalsBy('upload_bodies')).toBeGreaterThan(0);
    for (const request of slow) request.end();
    expect(await Promise.all(slow.map(({ status }) => status))).toEqual([202, 202]);
    await until('room for a body', async () => (await append()).status === 202);
  });
});
