import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { HeldAnswers } from '../support/held-answers.js';
import { NAME_CHANGES, sendChange } from '../support/name-changes.js';
import { RegistryClient } from '../support/registry-client.js';
import { rowsOf } from '../support/repository-rows.js';
import { stopJobs } from '../support/run-job.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

/** A process is killed after Postgres has committed its changes, and before it knows. */
describe('kill -9 between commit and response', () => {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase({ migrated: true });
  let answers: HeldAnswers;
  let killed: BerthProcess;
  let other: TestBerth;

  beforeAll(async () => {
    answers = new HeldAnswers(new URL(database.url), '_once(');
    const shared = { STORAGE_FILESYSTEM_ROOT: `${bench.newDataDir()}/storage` };
    const DATABASE_URL = await answers.open();
    killed = bench.start({ DATA_DIR: bench.newDataDir(), DATABASE_URL, DATABASE_POOL_SIZE: '20', ...shared });
    other = await startTestBerth({ DATABASE_URL: database.url, ...shared });
    await stopJobs(other);
  });
  afterAll(async () => {
    await other.dispose();
    await answers.close();
  });

  it('lets each request be repeated at another replica, which changes nothing more', async () => {
    const [here, there] = [new RegistryClient(await killed.url()), new RegistryClient(other.url)];
    const sent = await Promise.all(
      Object.values(NAME_CHANGES).map(async (prepare) => {
        const [change, key] = [await prepare(there), randomUUID()];
        const outcome = sendChange(here, change, key).then(
          ({ status }) => status,
          () => 'no response',
        );
        return { change, key, outcome };
      }),
    );
    await until('all changes to be committed', async () => {
      const [row] = await other.query<{ n: string }>('SELECT count(*) AS n FROM idempotent_requests');
      return Number(row?.n) === sent.length;
    });
    await killed.kill();
    for (const { outcome } of sent) expect(await outcome).toBe('no response');

    for (const { change, key } of sent) {
      const effect = await rowsOf(other.query, change.repository);
      expect((await sendChange(there, change, key)).status).toBe(change.status);
      expect(await rowsOf(other.query, change.repository)).toEqual(effect);
    }
  });
});
