import { describe, expect, it } from '@jest/globals';
import { JobLeaseLostError, JobStoppedError } from '../../src/jobs/job.errors.js';
import { until } from '../support/until.js';
import { ADMIN, counting, Gate, LONG_SECONDS, useJobs } from './support/use-jobs.js';

/** Shorter than a test waits, and long enough for a few statements. */
const SHORT_SECONDS = 0.05;

describe('jobs', () => {
  const jobs = useJobs();
  const { create, ended, job, query, row, run, runs, start } = jobs;
  const expireLease = () =>
    query(`UPDATE jobs SET lease_expires_at = now() WHERE name = $1 RETURNING name`, [jobs.name]);

  it('runs again and again, from the cursor of the run before', async () => {
    let begun = 0;
    await start(
      job(async function* (run) {
        begun += 1;
        run.count('items', 2);
        run.saveCursor(Number(run.cursor) + 1);
        yield;
        await Promise.resolve();
        run.count('items');
      }, SHORT_SECONDS),
    );
    await until('three runs', () => begun > 3);
    const [first] = await runs();
    expect(first).toMatchObject({
      state: 'succeeded',
      is_requested: false,
      progress: { items: 3 },
      error: null,
    });
    expect(Number((await row())?.['cursor'])).toBeGreaterThanOrEqual(3);
  });

  it('keeps no runs that were due and found nothing to do', async () => {
    let begun = 0;
    await start(
      job(async function* () {
        begun += 1;
        await Promise.resolve();
      }, SHORT_SECONDS),
    );
    await until('three runs', () => begun > 3);
    expect((await runs()).length).toBeLessThanOrEqual(1);
    expect((await row())?.['ended_at']).not.toBeNull();
  });

  it('shows why a run failed, and tries again after the interval', async () => {
    let begun = 0;
    await start(
      job(async function* (run) {
        begun += 1;
        run.count('items');
        yield;
        await Promise.resolve();
        if (begun < 3) throw new Error('the storage is full.\n at a place');
      }, SHORT_SECONDS),
    );
    await until('three runs', () => begun > 3);
    const [first, second, third] = await runs();
    expect(first).toMatchObject({ state: 'failed', error: 'the storage is full', progress: { items: 1 } });
    expect([second?.state, third?.state]).toEqual(['failed', 'succeeded']);
    expect((await row())?.['error']).toBeNull();
  });

  it('is run by one process at a time, among all', async () => {
    const figures = { begun: 0, now: 0, most: 0 };
    const busy = job(async function* (run) {
      figures.begun += 1;
      figures.most = Math.max(figures.most, (figures.now += 1));
      for (let batch = 0; batch < 3; batch += 1) {
        await run.verifyLease();
        yield;
      }
      figures.now -= 1;
    }, SHORT_SECONDS);
    await Promise.all([start(busy), start(busy), start(busy)]);
    await until('some runs', () => figures.begun > 10);
    expect(figures.most).toBe(1);
  });

  it('starts a requested run at once, and refuses another one meanwhile', async () => {
    const gate = new Gate();
    const [first, second] = await Promise.all([start(job(counting(gate))), start(job(counting(gate)))]);
    const id = await first.requests.run(jobs.name, false, ADMIN);
    await gate.arrival();
    expect(await run(id)).toMatchObject({ state: 'running', is_requested: true, requested_by: 'admin' });
    await expect(second.requests.run(jobs.name, true, ADMIN)).rejects.toThrow(
      `the run ${id} of the job ${jobs.name} has not ended`,
    );
    for (let item = 0; item < 3; item += 1) {
      await gate.arrival();
      gate.open();
    }
    expect(await ended(id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    expect(await runs()).toHaveLength(1);
  });

  it('keeps the cursor from dry runs', async () => {
    const gate = new Gate();
    const { requests } = await start(job(counting(gate, 1)));
    const id = await requests.run(jobs.name, true, ADMIN);
    expect((await gate.arrival()).isDryRun).toBe(true);
    gate.open();
    expect(await ended(id)).toMatchObject({ state: 'succeeded', is_dry_run: true, progress: { items: 1 } });
    expect((await row())?.['cursor']).toBeNull();
  });

  it('refuses dry runs of a job that has none, and runs of unknown jobs', async () => {
    const { requests } = await start({ ...job(counting(new Gate())), hasDryRun: false });
    await expect(requests.run(jobs.name, true, ADMIN)).rejects.toThrow(
      `dryRun: the job ${jobs.name} has no dry run`,
    );
    await expect(requests.run('unknown', false, ADMIN)).rejects.toThrow('no job has the name unknown');
    await expect(requests.stop('999999', ADMIN)).rejects.toThrow('no run has the id 999999');
  });

  describe('when the process that runs it', () => {
    /** The first process has done one batch, and is in its second. */
    const begin = async (intervalSeconds: number) => {
      const [gate, otherGate] = [new Gate(), new Gate()];
      const first = await start(job(counting(gate), intervalSeconds));
      const id = await first.requests.run(jobs.name, false, ADMIN);
      await gate.arrival();
      gate.open();
      await until('the second batch', async () => (await run(id))?.progress['items'] === 1);
      const held = await gate.arrival();
      const other = await start(job(counting(otherGate), intervalSeconds));
      return { gate, otherGate, first, other, id, held };
    };
    const finish = async (gate: Gate, id: string) => {
      for (let item = 0; item < 2; item += 1) {
        await gate.arrival();
        gate.open();
      }
      return ended(id);
    };

    it('was killed, another one continues its run from the cursor', async () => {
      const { otherGate, first, other, id } = await begin(SHORT_SECONDS);
      // Its connection ends with it.
      await first.listener.onModuleDestroy();
      expect((await otherGate.arrival()).cursor).toBe(1);
      const end = await finish(otherGate, id);
      expect(end).toMatchObject({ state: 'succeeded', progress: { items: 3 }, replica: other.replica.name });
    });

    it('was frozen, another one continues after the lease, and the first one is fenced', async () => {
      const { gate, otherGate, id, held } = await begin(SHORT_SECONDS);
      await expireLease();
      await otherGate.arrival();
      await expect(held.verifyLease()).rejects.toThrow(JobLeaseLostError);
      expect(held.signal.aborted).toBe(true);
      gate.open();
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });

    it('notices the lost lease with its next batch, at the latest', async () => {
      const { gate, otherGate, id, held } = await begin(SHORT_SECONDS);
      await expireLease();
      await otherGate.arrival();
      gate.open();
      await until('the abort', () => held.signal.aborted);
      expect(held.signal.reason).toBeInstanceOf(JobLeaseLostError);
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });

    it('is stopped, another one continues at once, even if the batch does not end', async () => {
      const { otherGate, first, id } = await begin(LONG_SECONDS);
      const startedAt = performance.now();
      await first.jobs.onModuleDestroy();
      expect(performance.now() - startedAt).toBeLessThan(1_500);
      expect((await otherGate.arrival()).cursor).toBe(1);
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });

    it('is stopped and its batch ends, it gives the run back', async () => {
      const { gate, otherGate, first, id } = await begin(LONG_SECONDS);
      const stopped = first.jobs.onModuleDestroy();
      gate.open();
      await stopped;
      expect((await otherGate.arrival()).cursor).toBe(1);
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });
  });

  it('stops a run on request, at once, whatever the batch does', async () => {
    const gate = new Gate();
    const { requests } = await start(job(counting(gate)));
    const id = await requests.run(jobs.name, false, ADMIN);
    const held = await gate.arrival();
    await requests.stop(id, ADMIN);
    await until('the abort', () => held.signal.aborted);
    expect(held.signal.reason).toBeInstanceOf(JobStoppedError);
    gate.open();
    expect(await ended(id)).toMatchObject({ state: 'stopped', error: null });
    await expect(requests.stop(id, ADMIN)).rejects.toThrow(`the run ${id} has ended`);
  });

  it('stops a run whose process has ended, and one that no process has claimed', async () => {
    const gate = new Gate();
    const first = await start(job(counting(gate)));
    const id = await first.requests.run(jobs.name, false, ADMIN);
    await gate.arrival();
    await first.listener.onModuleDestroy();
    const second = await start(job(counting(gate)));
    await second.requests.stop(id, ADMIN);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await second.stop();
    const queued = await second.requests.run(jobs.name, false, ADMIN);
    await second.requests.stop(queued, ADMIN);
    expect(await run(queued)).toMatchObject({ state: 'stopped', replica: null });
  });

  it('pauses: its run stops, and none starts until it is resumed', async () => {
    const gate = new Gate();
    const { requests, store } = await start(job(counting(gate), SHORT_SECONDS));
    const held = await gate.arrival();
    await requests.setPaused(jobs.name, true, ADMIN);
    await until('the abort', () => held.signal.aborted);
    gate.open();
    await until('the end', async () => (await row())?.['run_id'] === null);
    await query(`UPDATE jobs SET ended_at = now() - interval '1 day' WHERE name = $1 RETURNING name`, [
      jobs.name,
    ]);
    expect((await store.claim(jobs.name, SHORT_SECONDS)).claim).toBeUndefined();
    await expect(requests.run(jobs.name, false, ADMIN)).rejects.toThrow(`the job ${jobs.name} is paused`);
    await requests.setPaused(jobs.name, false, ADMIN);
    await gate.arrival();
    gate.open();
  });

  it('pauses as long as the batch took', async () => {
    const times: number[] = [];
    const { requests } = await start(
      job(async function* () {
        for (let batch = 0; batch < 2; batch += 1) {
          times.push(performance.now());
          await new Promise((resolve) => setTimeout(resolve, 100));
          yield;
        }
      }),
    );
    await ended(await requests.run(jobs.name, false, ADMIN));
    const [first = 0, second = 0] = times;
    expect(second - first).toBeGreaterThanOrEqual(195);
  });

  it('deletes runs that are older than the history', async () => {
    await query(
      `INSERT INTO job_runs (job, state, is_requested, is_dry_run, ended_at)
       SELECT $1, 'succeeded', true, false, now() - n * interval '1 minute'
         FROM generate_series(90, 1, -1) AS n
       RETURNING id`,
      [jobs.name],
    );
    const gate = new Gate();
    const { requests } = await start(job(counting(gate, 0)), 60 * 10.5);
    await ended(await requests.run(jobs.name, false, ADMIN));
    expect(await runs()).toHaveLength(10 + 1);
  });

  it('records in the audit log who ran, stopped, paused and resumed it', async () => {
    const gate = new Gate();
    const process = await start(job(counting(gate)));
    const id = await process.requests.run(jobs.name, false, ADMIN);
    await gate.arrival();
    await process.requests.stop(id, ADMIN);
    gate.open();
    await ended(id);
    for (const paused of [true, true, false]) await process.requests.setPaused(jobs.name, paused, ADMIN);
    const events = await query(
      `SELECT action, actor, after FROM audit_events WHERE subject = $1 ORDER BY id`,
      [jobs.name],
    );
    const of = { actor: 'admin', after: null };
    expect(events).toEqual([
      { ...of, action: 'job.run', after: { run: Number(id), dryRun: false } },
      { ...of, action: 'job.stop', after: { run: Number(id) } },
      { ...of, action: 'job.pause' },
      { ...of, action: 'job.resume' },
    ]);
  });

  it('changes nothing when it looks and no run is due, and says when one will be', async () => {
    const process = create(job(counting(new Gate())));
    expect(await process.store.claim(jobs.name, 60)).toEqual({ claim: undefined, waitSeconds: 60 });
    const before = await query('SELECT xmin, * FROM jobs WHERE name = $1', [jobs.name]);
    const again = await process.store.claim(jobs.name, 60);
    expect(again).toEqual({ claim: undefined, waitSeconds: expect.closeTo(60, -1) });
    expect(await process.store.claim(jobs.name, 0)).toEqual({ claim: undefined, waitSeconds: 60 });
    expect(await query('SELECT xmin, * FROM jobs WHERE name = $1', [jobs.name])).toEqual(before);
  });

  it.each([0, 3, 60])('looks soon again while another process runs it (interval %s s)', async (interval) => {
    const [process, other] = [create(job(counting(new Gate()))), create(job(counting(new Gate())))];
    await process.listener.onModuleInit();
    await process.requests.run(jobs.name, false, ADMIN);
    expect((await process.store.claim(jobs.name, interval)).claim).toBeDefined();
    const waitSeconds = interval === 3 ? 3 : 5;
    expect(await other.store.claim(jobs.name, interval)).toEqual({ claim: undefined, waitSeconds });
    await process.listener.onModuleDestroy();
  });

  it.each([
    ['long ago', '-1 hour', true],
    ['just now', '-1 second', false],
    ['in the future, by a clock that was ahead', '1 hour', true],
  ])('is due or not if its last run ended %s', async (_, ago, isDue) => {
    const process = create(job(counting(new Gate())));
    await query(`INSERT INTO jobs (name, ended_at) VALUES ($1, now() + $2::interval) RETURNING name`, [
      jobs.name,
      ago,
    ]);
    expect((await process.store.claim(jobs.name, 60)).claim !== undefined).toBe(isDue);
  });
});
