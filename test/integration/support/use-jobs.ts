import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { NO_REQUEST } from '../../../src/audit/audit-event.js';
import { Replica } from '../../../src/common/replica.js';
import { Configuration } from '../../../src/config/configuration.js';
import { DatabaseListener } from '../../../src/database/connection/database-listener.js';
import type { Job, JobRun } from '../../../src/jobs/job.js';
import { JobRequests } from '../../../src/jobs/job-requests.js';
import { JobStore } from '../../../src/jobs/job.store.js';
import { Jobs } from '../../../src/jobs/jobs.js';
import { createTestDataSource, type TestDataSource } from '../../support/test-data-source.js';
import { until } from '../../support/until.js';

/** Longer than any test. */
export const LONG_SECONDS = 3_600;

export const ADMIN = { ...NO_REQUEST, actor: 'admin', requestId: 'a request' };

/** The jobs of one process. */
export class Process {
  readonly replica = new Replica();
  readonly listener: DatabaseListener;
  readonly store: JobStore;
  readonly jobs: Jobs;
  readonly requests: JobRequests;

  constructor(dataSource: DataSource, job: Job, historySeconds: number) {
    const configuration = Object.assign(new Configuration(), { jobHistorySeconds: historySeconds });
    this.listener = new DatabaseListener(dataSource, this.replica);
    this.store = new JobStore(dataSource, this.replica);
    this.jobs = new Jobs(this.store, configuration, this.listener);
    this.requests = new JobRequests(dataSource, this.jobs);
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
export class Gate {
  /** The run that waits. */
  waiting: JobRun | undefined;
  private end: () => void = () => undefined;

  /** Called by the job. */
  pass(run: JobRun): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = run;
      this.end = () => {
        this.waiting = undefined;
        resolve();
      };
    });
  }

  async arrival(): Promise<JobRun> {
    await until('a batch', () => this.waiting !== undefined);
    return this.waiting as unknown as JobRun;
  }

  /** Lets the batch that waits go on. */
  open(): void {
    this.end();
  }
}

export interface RunRow {
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

/** Counts items, each in a batch of its own, and continues from its cursor. */
export const counting = (gate: Gate, items = 3) =>
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

/** A database, and in each test the name of a new job, and its processes, which end after the test. */
export function useJobs() {
  let test: TestDataSource;
  let processes: Process[] = [];
  let names = 0;
  let name: string;

  beforeAll(async () => {
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());
  beforeEach(() => {
    processes = [];
    name = `job-${(names += 1)}`;
  });
  afterEach(async () => {
    await Promise.all(processes.map((process) => process.stop()));
  });

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    test.dataSource.query<Row[]>(sql, parameters);
  const run = async (id: string) => (await query<RunRow>('SELECT * FROM job_runs WHERE id = $1', [id]))[0];
  /** Not started: nothing in it looks. */
  const create = (job: Job, historySeconds = LONG_SECONDS) => {
    const process = new Process(test.dataSource, job, historySeconds);
    processes.push(process);
    return process;
  };

  return {
    get test() {
      return test;
    },
    get name() {
      return name;
    },
    query,
    create,
    start: (job: Job, historySeconds?: number) => create(job, historySeconds).start(),
    job: (run: Job['run'], intervalSeconds = LONG_SECONDS): Job => ({
      ...{ name, description: 'A job of a test', intervalSeconds, hasDryRun: true, run },
    }),
    runs: () => query<RunRow>('SELECT * FROM job_runs WHERE job = $1 ORDER BY id', [name]),
    run,
    row: async () => (await query<Record<string, unknown>>('SELECT * FROM jobs WHERE name = $1', [name]))[0],
    ended: async (id: string) => {
      await until('the end of the run', async () => (await run(id))?.ended_at !== null);
      return run(id);
    },
  };
}
