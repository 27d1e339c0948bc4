import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { withoutDatabase } from '../support/database-outage.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

describe('health', () => {
  let berth: RunningBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  async function expectHealth(path: string, status: number, body: unknown): Promise<void> {
    const response = await client.fetch(path);
    expect(await response.json()).toEqual(body);
    expect(response.status).toBe(status);
    expect(response.headers.get('cache-control')).toBe('no-store');
  }
  const ready = async () => (await client.fetch('/health/ready')).status === 200;

  it('is live and ready', async () => {
    await expectHealth('/health/live', 200, { status: 'ok' });
    await expectHealth('/health/ready', 200, { status: 'ok', checks: { database: 'ok', storage: 'ok' } });
    expect((await client.fetch('/health/ready', { method: 'HEAD' })).status).toBe(200);
  });

  it('stays live without its database, names it, and is ready again once it is back', async () => {
    await withoutDatabase(berth.databaseUrl, async () => {
      const checks = { database: 'failed', storage: 'ok' };
      await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
      await expectHealth('/health/live', 200, { status: 'ok' });
    });
    await until('a ready Berth', ready);
  });

  it('names the storage when its directory is gone, and is ready again once it is back', async () => {
    const [storage, away] = ['storage', 'away'].map((each) => join(berth.dataDir, each)) as [string, string];
    await rename(storage, away);
    try {
      const checks = { database: 'ok', storage: 'failed' };
      await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
    } finally {
      await rename(away, storage);
    }
    await expectHealth('/health/ready', 200, { status: 'ok', checks: { database: 'ok', storage: 'ok' } });
  });

  it.each([
    ['GET', '/health'],
    ['GET', '/health/nothing'],
  ])('%s %s is no endpoint', async (method, path) => {
    expect((await client.fetch(path, { method })).status).toBe(404);
  });
});
