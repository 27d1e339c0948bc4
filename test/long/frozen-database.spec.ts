import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ChaosPostgres } from '../chaos/postgres.js';
import { RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { until } from '../support/until.js';

/** A check takes two seconds at most. The rest is for a busy machine. */
const BOUND_MS = 10_000;

describe('a frozen database', () => {
  const bench = useProcessBench();
  let postgres: ChaosPostgres;
  let directory: string;
  let client: RegistryClient;

  beforeAll(async () => {
    directory = join(bench.newDataDir(), 'postgres');
    postgres = new ChaosPostgres(directory);
    await postgres.start();
    const berth = bench.start({ DATABASE_URL: postgres.url, DATA_DIR: bench.newDataDir() });
    client = new RegistryClient(await berth.url());
  });
  afterAll(() => postgres.stop());

  async function signalAll(pids: readonly number[], signal: NodeJS.Signals): Promise<void> {
    const postmaster = parseInt(await readFile(join(directory, 'postmaster.pid'), 'utf8'), 10);
    // The postmaster first: it would start new sessions.
    for (const pid of [postmaster, ...pids]) process.kill(pid, signal);
  }

  it('makes a replica unready within the bound, keeps it live, and leaves no connections behind', async () => {
    // Opens the connection of the checks.
    expect((await client.fetch('/health/ready')).status).toBe(200);
    const ofBerth = `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'berth%'`;
    const sessions = (await postgres.query<{ pid: number }>(ofBerth)).map(({ pid }) => pid);
    await signalAll(sessions, 'SIGSTOP');
    try {
      for (let probe = 0; probe < 3; probe += 1) {
        const response = await client.fetch('/health/ready', { signal: AbortSignal.timeout(BOUND_MS) });
        expect(await response.json()).toMatchObject({
          status: 'unavailable',
          checks: { database: 'failed', migrations: 'unknown', storage: 'ok', identity: 'unknown' },
        });
      }
      expect((await client.fetch('/health/live')).status).toBe(200);
    } finally {
      await signalAll(sessions, 'SIGCONT');
    }
    await until('readiness', async () => (await client.fetch('/health/ready')).status === 200);
    const ofHealth = `SELECT FROM pg_stat_activity WHERE application_name = 'berth-health'`;
    await until('the end of given up sessions', async () => (await postgres.query(ofHealth)).length === 1);
  });
});
