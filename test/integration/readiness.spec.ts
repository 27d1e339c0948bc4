import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource, QueryRunner } from 'typeorm';
import { RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

describe('readiness', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const status = async () => (await client.fetch('/health/ready')).status;

  /** The sessions of health checks in Postgres. */
  const sessions = async () => {
    const sql = `SELECT pid FROM pg_stat_activity
                  WHERE application_name = 'berth-health' AND datname = current_database()`;
    return (await berth.query<{ pid: number }>(sql)).map(({ pid }) => pid);
  };

  /** Takes every connection of a pool. */
  async function takeAll(pool: DataSource): Promise<QueryRunner[]> {
    const runners = Array.from({ length: Number(pool.options.poolSize) }, () => pool.createQueryRunner());
    await Promise.all(runners.map((runner) => runner.connect()));
    return runners;
  }

  it('does not wait for a connection of the busy pools', async () => {
    const { dataSource, reads } = berth.database;
    const taken = [...(await takeAll(dataSource)), ...(await takeAll(reads))];
    const waiting = reads.query('SELECT 1');
    try {
      expect(await status()).toBe(200);
    } finally {
      await Promise.all(taken.map((runner) => runner.release()));
    }
    await waiting;
  });

  it('uses one connection for all checks, and a new one when that breaks', async () => {
    expect(await status()).toBe(200);
    const first = await sessions();
    expect(first).toHaveLength(1);
    await Promise.all(Array.from({ length: 20 }, status));
    expect(await sessions()).toEqual(first);
    await berth.query('SELECT pg_terminate_backend($1)', first);
    await until('readiness on a new connection', async () => (await status()) === 200);
    const second = await sessions();
    expect(second).toHaveLength(1);
    expect(second).not.toEqual(first);
  });
});
