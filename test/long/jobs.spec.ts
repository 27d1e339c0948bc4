import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

/** Their sessions take longer to expire than the test takes. */
const SESSIONS = 20_000;

interface Run {
  readonly id: string;
  readonly state: string;
  readonly replica: string | null;
  readonly progress: Readonly<Record<string, number>>;
}

describe('a long run of a job, on two programs', () => {
  let first: OwnBerth;
  let second: OwnBerth;

  beforeAll(async () => {
    first = await OwnBerth.start();
    second = await OwnBerth.start({ DATABASE_URL: first.databaseUrl, DATA_DIR: first.dataDir });
    await second.stop();
    const location = await new RegistryClient(first.url).startUpload('a/b');
    await first.query(
      `INSERT INTO uploads (id, repository, state, midstates, driver_state, holds_bytes, updated_at)
       SELECT gen_random_uuid(), repository, 'open', midstates, driver_state, true, now() - interval '30 days'
         FROM uploads, generate_series(1, $2) WHERE id = $1`,
      [location.split('/').at(-1), SESSIONS],
    );
    // Idle time is counted.
    await first.query(
      `INSERT INTO upload_clock (seconds, seen_at) VALUES (-2592000, now() - interval '30 days'), (0, now())`,
    );
  });
  afterAll(() => second.dispose());
  afterAll(() => first.dispose());

  const adminOf = ({ url }: OwnBerth) => new AdminClient(new RegistryClient(url));
  const expired = (run: Run) => run.progress['expiredUploads'] ?? 0;
  /** Waits until another process than `before` had has made progress with the same run. */
  const continued = async (by: OwnBerth, before: Run) => {
    let run = before;
    await until('the run to continue', async () => {
      run = await adminOf(by).get<Run>(`/job-runs/${before.id}`);
      return run.replica !== before.replica && expired(run) > expired(before);
    });
    expect(run.state).toBe('running');
    return run;
  };

  it('survives SIGTERM and kill -9 of the programs that run it, and stops on request', async () => {
    const begun = await adminOf(first).call<Run>('POST', '/jobs/reap/runs', 202);
    // It may have begun already.
    const ofFirst = await continued(first, { ...begun, replica: null });
    await second.startAgain();
    const startedAt = performance.now();
    await first.stop();
    const ofSecond = await continued(second, ofFirst);
    const tookMs = performance.now() - startedAt;

    await second.kill();
    await first.startAgain();
    const ofNext = await continued(first, ofSecond);
    await adminOf(first).call('POST', `/job-runs/${begun.id}/stop`, 202);
    await until('the end', async () => {
      const { state } = await adminOf(first).get<Run>(`/job-runs/${begun.id}`);
      return state === 'stopped';
    });
    expect(expired(ofNext)).toBeLessThan(SESSIONS);
    console.info(`continued by another program ${Math.round(tookMs)} ms after SIGTERM`);
  });
});
