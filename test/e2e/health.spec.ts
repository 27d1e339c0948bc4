import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { StorageFullError } from '../../src/storage/storage.errors.js';
import { RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('health', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeEach(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterEach(() => berth.dispose());

  async function expectHealth(path: string, status: number, body: unknown): Promise<void> {
    const response = await client.fetch(path);
    expect(await response.json()).toEqual(body);
    expect(response.status).toBe(status);
    expect(response.headers.get('cache-control')).toBe('no-store');
  }

  it('is live and ready', async () => {
    await expectHealth('/health/live', 200, { status: 'ok' });
    await expectHealth('/health/ready', 200, { status: 'ok', checks: { database: 'ok', storage: 'ok' } });
    expect((await client.fetch('/health/ready', { method: 'HEAD' })).status).toBe(200);
  });

  it('stays live without its database, and names it as what failed', async () => {
    await berth.database.reads.destroy();
    const checks = { database: 'failed', storage: 'ok' };
    await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
    await expectHealth('/health/live', 200, { status: 'ok' });
  });

  it('names the storage when its directory is gone, and is ready again once it is back', async () => {
    const [storage, away] = ['storage', 'away'].map((each) => join(berth.dataDir, each)) as [string, string];
    await rename(storage, away);
    const checks = { database: 'ok', storage: 'failed' };
    await expectHealth('/health/ready', 503, { status: 'unavailable', checks });
    await rename(away, storage);
    await expectHealth('/health/ready', 200, { status: 'ok', checks: { database: 'ok', storage: 'ok' } });
  });

  it('stays ready on a full storage, and says so', async () => {
    jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    jest.spyOn(berth.driver, 'check').mockRejectedValue(new StorageFullError('full'));
    const checks = { database: 'ok', storage: 'full' };
    await expectHealth('/health/ready', 200, { status: 'degraded', checks });
    jest.restoreAllMocks();
  });

  it('gets over sessions that the server ended', async () => {
    await berth.database.dataSource
      .query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()')
      .catch(() => undefined);
    // The pool may not have heard yet of the sessions that it lost: a probe or two may get one of those.
    const statuses: number[] = [];
    while (statuses.at(-1) !== 200 && statuses.length < 10) {
      statuses.push((await client.fetch('/health/ready')).status);
    }
    expect(statuses.at(-1)).toBe(200);
  });

  it.each([
    ['GET', '/health'],
    ['GET', '/health/nothing'],
  ])('%s %s is no endpoint', async (method, path) => {
    expect((await client.fetch(path, { method })).status).toBe(404);
  });
});
