import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { withoutDatabase } from '../support/database-outage.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

const OK = { database: 'ok', migrations: 'ok', storage: 'ok', identity: 'ok' };

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
    await expectHealth('/health/ready', 200, { status: 'ok', checks: OK });
    expect((await client.fetch('/health/ready', { method: 'HEAD' })).status).toBe(200);
  });

  it('stays live without its database, names it, and is ready again once it is back', async () => {
    await withoutDatabase(berth.databaseUrl, async () => {
      const checks = { ...OK, database: 'failed', migrations: 'unknown', identity: 'unknown' };
      await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
      await expectHealth('/health/live', 200, { status: 'ok' });
    });
    await until('a ready Berth', ready);
  });

  it('names the identity when the directory of the storage is gone, and is ready again once it is back', async () => {
    const [storage, away] = ['storage', 'away'].map((each) => join(berth.dataDir, each)) as [string, string];
    await rename(storage, away);
    try {
      const checks = { ...OK, storage: 'unknown', identity: 'failed' };
      await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
    } finally {
      await rename(away, storage);
    }
    await expectHealth('/health/ready', 200, { status: 'ok', checks: OK });
  });

  it('is not ready on an older schema, and ready on a newer one, whose migrations it does not know', async () => {
    const [newest] = await berth.query<{ name: string }>(
      'SELECT name FROM migrations ORDER BY id DESC LIMIT 1',
    );
    const rename = (from: string, to: string) =>
      berth.query('UPDATE migrations SET name = $2 WHERE name = $1', [from, to]);
    const name = String(newest?.name);
    await rename(name, 'Unknown9999999999999');
    try {
      await expectHealth('/health/ready', 503, {
        status: 'unavailable',
        checks: { ...OK, migrations: 'failed' },
      });
      await berth.query('INSERT INTO migrations (timestamp, name) VALUES (0, $1)', [name]);
      await expectHealth('/health/ready', 200, { status: 'ok', checks: { ...OK, migrations: 'newer' } });
    } finally {
      await berth.query('DELETE FROM migrations WHERE name = $1', [name]);
      await rename('Unknown9999999999999', name);
    }
    await expectHealth('/health/ready', 200, { status: 'ok', checks: OK });
  });

  it('is not ready if the database belongs to another storage', async () => {
    const [identity] = await berth.query<{ id: string }>('SELECT id FROM storage_identity');
    await berth.query('UPDATE storage_identity SET id = gen_random_uuid()');
    try {
      await expectHealth('/health/ready', 503, {
        status: 'unavailable',
        checks: { ...OK, identity: 'failed' },
      });
    } finally {
      await berth.query('UPDATE storage_identity SET id = $1', [identity?.id]);
    }
    await expectHealth('/health/ready', 200, { status: 'ok', checks: OK });
  });

  it.each([
    ['GET', '/health'],
    ['GET', '/health/nothing'],
  ])('%s %s is no endpoint', async (method, path) => {
    expect((await client.fetch(path, { method })).status).toBe(404);
  });
});
