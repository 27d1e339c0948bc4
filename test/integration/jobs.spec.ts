import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { NO_REQUEST } from '../../src/audit/audit-event.js';
import { Replica } from '../../src/common/replica.js';
import { Configuration } from '../../src/config/configuration.js';
import { DatabaseListener } from '../../src/database/connection/database-listener.js';
import { JobLeaseLostError, JobStoppedError } from '../../src/jobs/job.errors.js';
import type { Job, JobRun } from '../../src/jobs/job.js';
import { JobRequests } from '../../src/jobs/job-requests.js';
import { type JobClaim, JobStore } from '../../src/jobs/job.store.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { until } from '../support/until.js';

/** Shorter than a test waits, and long enough for a few statements. */
const SHORT_SECONDS = 0.05;
/** Longer than any test. */
const LONG_SECONDS = 3_600;

const ADMIN = { ...NO_REQUEST, actor: 'admin', requestId: 'a request' };

let test: TestDataSource;

beforeAll(async () => {
  test = await createTestDataSource();
});
afterAll(() => test.dispose());

const query = <Row>(sql: string, parameters: unknown[] = []) => test.dataSource.query<Row[]>(sql, parameters);

/** The jobs of one process. */
class Process {
  readonly replica = new Replica();
  readonly listener = new DatabaseListener(test.dataSource, this.replica);
  readonly store = new JobStore(test.dataSource, this.replica);
  readonly jobs: Jobs;
  readonly requests: JobRequests;

  constructor(job: Job, historySeconds = LONG_SECONDS) {
    const configuration = Object.assign(new Configuration(), { jobHistorySeconds: historySeconds });
    this.jobs = new Jobs(this.store, configuration, this.listener);
    this.requests = new JobRequests(test.dataSource, this.jobs);
    this.jobs.register(job);
  }

  async start(): Promise<this> {
    await this.listener.onModuleInit();
    this.jobs.onApplicationBootstrap();
    return this;
  }

  /** As SIGTERM does. */
  async stop(): Promise<void> {
    await this.jobs.onModuleDestroy();
    await this.listener.onModuleDestroy();
  }
}

/** Lets the batches of a job run one by one. */
class Gate {
  /** The run that waits. */
  waiting: JobRun | undefined;
  private open: () => void = () => undefined;

  /** Called by the job. */
  pass(run: JobRun): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = run;
      this.open = () => {
        this.waiting = undefined;
        resolve();
      };
    });
  }

  async arrival(): Promise<JobRun> {
    await until('a batch', () => this.waiting !== undefined);
    return this.waiting as unknown as JobRun;
  }

  letGo(): void {
    this.open();
  }
}

interface RunRow {
  id: string;
  state: string;
  is_requested: boolean;
  requested_by: string | null;
  is_dry_run: boolean;
  replica: string;
  progress: Record<string, number>;
  error: string | null;
  ended_at: Date | null;
}

let names = 0;

describe('jobs', () => {
  let processes: Process[];
  let name: string;

  beforeEach(() => {
    processes = [];
    name = `job-${(names += 1)}`;
  });
  afterEach(async () => {
    await Promise.all(processes.map((process) => process.stop()));
  });

  const job = (run: Job['run'], intervalSeconds = LONG_SECONDS): Job => ({
    ...{ name, description: 'A job of a test', intervalSeconds, hasDryRun: true, run },
  });
  const start = async (job: Job, historySeconds?: number) => {
    const process = new Process(job, historySeconds);
    processes.push(process);
    return process.start();
  };
  /** Counts items, each in a batch of its own, and continues from its cursor. */
  const counting = (gate: Gate, items = 3) =>
    async function* (run: JobRun): AsyncGenerator<void, void> {
      for (let item = Number(run.cursor); item < items;) {
        await gate.pass(run);
        if (run.signal.aborted) return;
        item += 1;
        run.saveCursor(item);
        run.count('items');
        yield;
      }
      run.saveCursor(0);
    };
  const runs = () => query<RunRow>('SELECT * FROM job_runs WHERE job = $1 ORDER BY id', [name]);
  const run = async (id: string) => (await query<RunRow>('SELECT * FROM job_runs WHERE id = $1', [id]))[0];
  const row = async () =>
    (await query<Record<string, unknown>>('SELECT * FROM jobs WHERE name = $1', [name]))[0];
  const ended = async (id: string) => {
    await until('the end of the run', async () => (await run(id))?.ended_at !== null);
    return run(id);
  };
  const expireLease = () =>
    query(`UPDATE jobs SET lease_expires_at = now() WHERE name = $1 RETURNING name`, [name]);

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
    const id = await first.requests.run(name, false, ADMIN);
    await gate.arrival();
    expect(await run(id)).toMatchObject({ state: 'running', is_requested: true, requested_by: 'admin' });
    await expect(second.requests.run(name, true, ADMIN)).rejects.toThrow(
      `the run ${id} of the job ${name} has not ended`,
    );
    for (let item = 0; item < 3; item += 1) {
      await gate.arrival();
      gate.letGo();
    }
    expect(await ended(id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    expect(await runs()).toHaveLength(1);
  });

  it('keeps the cursor from dry runs', async () => {
    const gate = new Gate();
    const { requests } = await start(job(counting(gate, 1)));
    const id = await requests.run(name, true, ADMIN);
    expect((await gate.arrival()).isDryRun).toBe(true);
    gate.letGo();
    expect(await ended(id)).toMatchObject({ state: 'succeeded', is_dry_run: true, progress: { items: 1 } });
    expect((await row())?.['cursor']).toBeNull();
  });

  it('refuses dry runs of a job that has none, and runs of unknown jobs', async () => {
    const { requests } = await start({ ...job(counting(new Gate())), hasDryRun: false });
    await expect(requests.run(name, true, ADMIN)).rejects.toThrow(`dryRun: the job ${name} has no dry run`);
    await expect(requests.run('unknown', false, ADMIN)).rejects.toThrow('no job has the name unknown');
    await expect(requests.stop('999999', ADMIN)).rejects.toThrow('no run has the id 999999');
  });

  describe('when the process that runs it', () => {
    /** The first process has done one batch, and is in its second. */
    const begin = async (intervalSeconds: number) => {
      const [gate, otherGate] = [new Gate(), new Gate()];
      const first = await start(job(counting(gate), intervalSeconds));
      const id = await first.requests.run(name, false, ADMIN);
      await gate.arrival();
      gate.letGo();
      await until('the second batch', async () => (await run(id))?.progress['items'] === 1);
      const held = await gate.arrival();
      const other = await start(job(counting(otherGate), intervalSeconds));
      return { gate, otherGate, first, other, id, held };
    };
    const finish = async (gate: Gate, id: string) => {
      for (let item = 0; item < 2; item += 1) {
        await gate.arrival();
        gate.letGo();
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
      gate.letGo();
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });

    it('notices the lost lease with its next batch, at the latest', async () => {
      const { gate, otherGate, id, held } = await begin(SHORT_SECONDS);
      await expireLease();
      await otherGate.arrival();
      gate.letGo();
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
      gate.letGo();
      await stopped;
      expect((await otherGate.arrival()).cursor).toBe(1);
      expect(await finish(otherGate, id)).toMatchObject({ state: 'succeeded', progress: { items: 3 } });
    });
  });

  it('stops a run on request, at once, whatever the batch does', async () => {
    const gate = new Gate();
    const { requests } = await start(job(counting(gate)));
    const id = await requests.run(name, false, ADMIN);
    const held = await gate.arrival();
    await requests.stop(id, ADMIN);
    await until('the abort', () => held.signal.aborted);
    expect(held.signal.reason).toBeInstanceOf(JobStoppedError);
    gate.letGo();
    expect(await ended(id)).toMatchObject({ state: 'stopped', error: null });
    await expect(requests.stop(id, ADMIN)).rejects.toThrow(`the run ${id} has ended`);
  });

  it('stops a run whose process has ended, and one that no process has claimed', async () => {
    const gate = new Gate();
    const first = await start(job(counting(gate)));
    const id = await first.requests.run(name, false, ADMIN);
    await gate.arrival();
    await first.listener.onModuleDestroy();
    const second = await start(job(counting(gate)));
    await second.requests.stop(id, ADMIN);
    expect(await ended(id)).toMatchObject({ state: 'stopped' });
    await second.stop();
    const queued = await second.requests.run(name, false, ADMIN);
    await second.requests.stop(queued, ADMIN);
    expect(await run(queued)).toMatchObject({ state: 'stopped', replica: null });
  });

  it('pauses: its run stops, and none starts until it is resumed', async () => {
    const gate = new Gate();
    const { requests, store } = await start(job(counting(gate), SHORT_SECONDS));
    const held = await gate.arrival();
    await requests.setPaused(name, true, ADMIN);
    await until('the abort', () => held.signal.aborted);
    gate.letGo();
    await until('the end', async () => (await row())?.['run_id'] === null);
    await query(`UPDATE jobs SET ended_at = now() - interval '1 day' WHERE name = $1 RETURNING name`, [name]);
    expect((await store.claim(name, SHORT_SECONDS)).claim).toBeUndefined();
    await expect(requests.run(name, false, ADMIN)).rejects.toThrow(`the job ${name} is paused`);
    await requests.setPaused(name, false, ADMIN);
    await gate.arrival();
    gate.letGo();
  });

  describe('a run that a purge or a restore wants', () => {
    const want = () => query('SELECT want_job_run($1, $2)', [name, 'ada']);
    const idle = () => until('the end', async () => (await row())?.['run_id'] === null);

    it('starts at once, also without an interval', async () => {
      const gate = new Gate();
      await start(job(counting(gate, 1), 0));
      await want();
      await gate.arrival();
      expect(await runs()).toMatchObject([{ state: 'running', is_requested: true, requested_by: 'ada' }]);
      gate.letGo();
      await idle();
    });

    it('starts after the current run, once', async () => {
      const gate = new Gate();
      const { requests, store } = await start(job(counting(gate, 1), 0));
      const id = await requests.run(name, false, ADMIN);
      await gate.arrival();
      for (let n = 0; n < 2; n += 1) await want();
      await expect(requests.run(name, false, ADMIN)).rejects.toThrow(`the run ${id} of the job ${name} has`);
      gate.letGo();
      await ended(id);
      await gate.arrival();
      gate.letGo();
      await idle();
      expect((await store.claim(name, 0)).claim).toBeUndefined();
      const of = { state: 'succeeded', is_requested: true };
      expect(await runs()).toMatchObject([
        { ...of, id, requested_by: 'admin' },
        { ...of, requested_by: 'ada' },
      ]);
    });

    it('starts after the current run in any process', async () => {
      const woken = jest.fn();
      const process = new Process(job(counting(new Gate()), 0));
      processes.push(process);
      process.listener.on('berth_jobs', woken);
      await process.listener.onModuleInit();
      await process.requests.run(name, true, ADMIN);
      const { claim } = await process.store.claim(name, 0);
      await want();
      await until('two notifications', () => woken.mock.calls.length === 2);
      const outcome = { cursor: null, progress: {}, state: 'failed', error: 'no' } as const;
      expect(await process.store.finish(claim as JobClaim, outcome, LONG_SECONDS)).toBe(true);
      await until('a third one', () => woken.mock.calls.length === 3);
      expect((await process.store.claim(name, 0)).claim).toMatchObject({ isDryRun: false });
    });

    it('is tried again a minute after it failed, and is looked for meanwhile', async () => {
      const { store } = new Process(job(counting(new Gate())));
      await want();
      const { claim } = await store.claim(name, LONG_SECONDS);
      const outcome = { cursor: null, progress: {}, state: 'failed', error: 'no' } as const;
      await store.finish(claim as JobClaim, outcome, LONG_SECONDS);
      expect(await store.claim(name, LONG_SECONDS)).toEqual({ claim: undefined, waitSeconds: 5 });
      await query(
        `UPDATE jobs SET wanted_at = wanted_at - interval '1 minute' WHERE name = $1 RETURNING name`,
        [name],
      );
      expect((await store.claim(name, LONG_SECONDS)).claim).toMatchObject({ isDryRun: false });
      expect((await runs()).at(-1)).toMatchObject({ state: 'running', requested_by: 'ada' });
    });

    it('starts at once when the job is resumed', async () => {
      const gate = new Gate();
      const { requests, store } = await start(job(counting(gate, 1), 0));
      await requests.setPaused(name, true, ADMIN);
      await want();
      expect((await store.claim(name, 0)).claim).toBeUndefined();
      await requests.setPaused(name, false, ADMIN);
      await gate.arrival();
      gate.letGo();
      await idle();
    });
  });

  it.each([
    ['starts a requested run again that a pause stopped', false, true],
    ['forgets a dry run that a pause stopped', true, false],
  ])('%s', async (_, isDryRun, isStarted) => {
    const { requests, store } = new Process(job(counting(new Gate())));
    const id = await requests.run(name, isDryRun, ADMIN);
    await requests.setPaused(name, true, ADMIN);
    expect(await run(id)).toMatchObject({ state: 'stopped' });
    await requests.setPaused(name, false, ADMIN);
    const { claim } = await store.claim(name, 0);
    expect(claim === undefined ? [] : [claim.isDryRun]).toEqual(isStarted ? [false] : []);
  });

  it('does not start a run again that an operator stopped before the pause', async () => {
    const { requests, store } = new Process(job(counting(new Gate())));
    const id = await requests.run(name, false, ADMIN);
    const { claim } = await store.claim(name, 0);
    await requests.stop(id, ADMIN);
    await requests.setPaused(name, true, ADMIN);
    const outcome = { cursor: null, progress: {}, state: 'stopped', error: null } as const;
    await store.finish(claim as JobClaim, outcome, LONG_SECONDS);
    await requests.setPaused(name, false, ADMIN);
    expect((await store.claim(name, 0)).claim).toBeUndefined();
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
    await ended(await requests.run(name, false, ADMIN));
    const [first = 0, second = 0] = times;
    expect(second - first).toBeGreaterThanOrEqual(195);
  });

  it('deletes runs that are older than the history', async () => {
    await query(
      `INSERT INTO job_runs (job, state, is_requested, is_dry_run, ended_at)
       SELECT $1, 'succeeded', true, false, now() - n * interval '1 minute'
         FROM generate_series(90, 1, -1) AS n
       RETURNING id`,
      [name],
    );
    const gate = new Gate();
    const { requests } = await start(job(counting(gate, 0)), 60 * 10.5);
    await ended(await requests.run(name, false, ADMIN));
    expect(await runs()).toHaveLength(10 + 1);
  });

  it('records in the audit log who ran, stopped, paused and resumed it', async () => {
    const gate = new Gate();
    const process = await start(job(counting(gate)));
    const id = await process.requests.run(name, false, ADMIN);
    await gate.arrival();
    await process.requests.stop(id, ADMIN);
    gate.letGo();
    await ended(id);
    for (const paused of [true, true, false]) await process.requests.setPaused(name, paused, ADMIN);
    const events = await query(
      `SELECT action, actor, after FROM audit_events WHERE subject = $1 ORDER BY id`,
      [name],
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
    const process = new Process(job(counting(new Gate())));
    expect(await process.store.claim(name, 60)).toEqual({ claim: undefined, waitSeconds: 60 });
    const before = await query('SELECT xmin, * FROM jobs WHERE name = $1', [name]);
    const again = await process.store.claim(name, 60);
    expect(again).toEqual({ claim: undefined, waitSeconds: expect.closeTo(60, -1) });
    expect(await process.store.claim(name, 0)).toEqual({ claim: undefined, waitSeconds: 60 });
    expect(await query('SELECT xmin, * FROM jobs WHERE name = $1', [name])).toEqual(before);
  });

  it.each([0, 3, 60])('looks soon again while another process runs it (interval %s s)', async (interval) => {
    const [process, other] = [new Process(job(counting(new Gate()))), new Process(job(counting(new Gate())))];
    await process.listener.onModuleInit();
    await process.requests.run(name, false, ADMIN);
    expect((await process.store.claim(name, interval)).claim).toBeDefined();
    const waitSeconds = interval === 3 ? 3 : 5;
    expect(await other.store.claim(name, interval)).toEqual({ claim: undefined, waitSeconds });
    await process.listener.onModuleDestroy();
  });

  it.each([
    ['long ago', '-1 hour', true],
    ['just now', '-1 second', false],
    ['in the future, by a clock that was ahead', '1 hour', true],
  ])('is due or not if its last run ended %s', async (_, ago, isDue) => {
    const process = new Process(job(counting(new Gate())));
    await query(`INSERT INTO jobs (name, ended_at) VALUES ($1, now() + $2::interval) RETURNING name`, [
      name,
      ago,
    ]);
    expect((await process.store.claim(name, 60)).claim !== undefined).toBe(isDue);
  });
});
