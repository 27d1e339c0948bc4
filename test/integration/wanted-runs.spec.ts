import { describe, expect, it, jest } from '@jest/globals';
import type { JobClaim } from '../../src/jobs/job.store.js';
import { until } from '../support/until.js';
import { ADMIN, counting, Gate, LONG_SECONDS, useJobs } from './support/use-jobs.js';

describe('a run that a purge or a restore wants', () => {
  const jobs = useJobs();
  const { create, ended, job, query, row, run, runs, start } = jobs;
  const want = () => query('SELECT want_job_run($1, $2)', [jobs.name, 'ada']);
  const idle = () => until('the end', async () => (await row())?.['run_id'] === null);

  it('starts at once, also without an interval', async () => {
    const gate = new Gate();
    await start(job(counting(gate, 1), 0));
    await want();
    await gate.arrival();
    expect(await runs()).toMatchObject([{ state: 'running', is_requested: true, requested_by: 'ada' }]);
    gate.open();
    await idle();
  });

  it('starts after the current run, once', async () => {
    const gate = new Gate();
    const { requests, store } = await start(job(counting(gate, 1), 0));
    const id = await requests.run(jobs.name, false, ADMIN);
    await gate.arrival();
    for (let n = 0; n < 2; n += 1) await want();
    await expect(requests.run(jobs.name, false, ADMIN)).rejects.toThrow(
      `the run ${id} of the job ${jobs.name} has`,
    );
    gate.open();
    await ended(id);
    await gate.arrival();
    gate.open();
    await idle();
    expect((await store.claim(jobs.name, 0)).claim).toBeUndefined();
    const of = { state: 'succeeded', is_requested: true };
    expect(await runs()).toMatchObject([
      { ...of, id, requested_by: 'admin' },
      { ...of, requested_by: 'ada' },
    ]);
  });

  it('starts after the current run in any process', async () => {
    const woken = jest.fn();
    const process = create(job(counting(new Gate()), 0));
    process.listener.on('berth_jobs', woken);
    await process.listener.onModuleInit();
    await process.requests.run(jobs.name, true, ADMIN);
    const { claim } = await process.store.claim(jobs.name, 0);
    await want();
    await until('two notifications', () => woken.mock.calls.length === 2);
    const outcome = { cursor: null, progress: {}, state: 'failed', error: 'no' } as const;
    expect(await process.store.finish(claim as JobClaim, outcome, LONG_SECONDS)).toBe(true);
    await until('a third one', () => woken.mock.calls.length === 3);
    expect((await process.store.claim(jobs.name, 0)).claim).toMatchObject({ isDryRun: false });
  });

  it('is tried again a minute after it failed, and is looked for meanwhile', async () => {
    const { store } = create(job(counting(new Gate())));
    await want();
    const { claim } = await store.claim(jobs.name, LONG_SECONDS);
    const outcome = { cursor: null, progress: {}, state: 'failed', error: 'no' } as const;
    await store.finish(claim as JobClaim, outcome, LONG_SECONDS);
    expect(await store.claim(jobs.name, LONG_SECONDS)).toEqual({ claim: undefined, waitSeconds: 5 });
    await query(
      `UPDATE jobs SET wanted_at = wanted_at - interval '1 minute' WHERE name = $1 RETURNING name`,
      [jobs.name],
    );
    expect((await store.claim(jobs.name, LONG_SECONDS)).claim).toMatchObject({ isDryRun: false });
    expect((await runs()).at(-1)).toMatchObject({ state: 'running', requested_by: 'ada' });
  });

  it('starts at once when the job is resumed', async () => {
    const gate = new Gate();
    const { requests, store } = await start(job(counting(gate, 1), 0));
    await requests.setPaused(jobs.name, true, ADMIN);
    await want();
    expect((await store.claim(jobs.name, 0)).claim).toBeUndefined();
    await requests.setPaused(jobs.name, false, ADMIN);
    await gate.arrival();
    gate.open();
    await idle();
  });

  it.each([
    ['starts a requested run again that a pause stopped', false, true],
    ['forgets a dry run that a pause stopped', true, false],
  ])('%s', async (_, isDryRun, isStarted) => {
    const { requests, store } = create(job(counting(new Gate())));
    const id = await requests.run(jobs.name, isDryRun, ADMIN);
    await requests.setPaused(jobs.name, true, ADMIN);
    expect(await run(id)).toMatchObject({ state: 'stopped' });
    await requests.setPaused(jobs.name, false, ADMIN);
    const { claim } = await store.claim(jobs.name, 0);
    expect(claim === undefined ? [] : [claim.isDryRun]).toEqual(isStarted ? [false] : []);
  });

  it('does not start a run again that an operator stopped before the pause', async () => {
    const { requests, store } = create(job(counting(new Gate())));
    const id = await requests.run(jobs.name, false, ADMIN);
    const { claim } = await store.claim(jobs.name, 0);
    await requests.stop(id, ADMIN);
    await requests.setPaused(jobs.name, true, ADMIN);
    const outcome = { cursor: null, progress: {}, state: 'stopped', error: null } as const;
    await store.finish(claim as JobClaim, outcome, LONG_SECONDS);
    await requests.setPaused(jobs.name, false, ADMIN);
    expect((await store.claim(jobs.name, 0)).claim).toBeUndefined();
  });
});
