import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Replica } from '../../src/common/replica.js';
import { Configuration } from '../../src/config/configuration.js';
import { DatabaseListener } from '../../src/database/connection/database-listener.js';
import type { Job, JobRun } from '../../src/jobs/job.js';
import { JobStore } from '../../src/jobs/job.store.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { until } from '../support/until.js';

/** The jobs of one process. */
class Process {
  readonly replica = new Replica();
  readonly listener: DatabaseListener;
  readonly store: JobStore;
  readonly jobs: Jobs;

  constructor({ dataSource }: TestDataSource, job: Job) {
    this.listener = new DatabaseListener(dataSource, this.replica);
    this.store = new JobStore(dataSource, this.replica);
    this.jobs = new Jobs(this.store, new Configuration(), this.listener);
    this.jobs.register(job);
  }

  async start(): Promise<void> {
    await this.listener.onModuleInit();
    this.jobs.onApplicationBootstrap();
  }

  async stop(): Promise<void> {
    await this.jobs.onModuleDestroy();
    await this.listener.onModuleDestroy();
  }
}

describe('jobs', () => {
  let test: TestDataSource;
  let processes: Process[];

  beforeEach(async () => {
    test = await createTestDataSource();
    processes = [];
  });
  afterEach(async () => {
    await Promise.all(processes.map((process) => process.stop()));
    await test.dispose();
  });

  const job = (run: (run: JobRun) => AsyncGenerator<void, void>, intervalSeconds = 0.2): Job => ({
    name: 'count',
    description: 'Counts',
    intervalSeconds,
    hasDryRun: true,
    run,
  });
  const start = async (job: Job) => {
    const process = new Process(test, job);
    processes.push(process);
    await process.start();
    return process;
  };
  const runs = () => test.dataSource.query<Record<string, unknown>[]>('SELECT * FROM job_runs ORDER BY id');

  it('runs a job again and again', async () => {
    let count = 0;
    await start(
      job(async function* (run) {
        count += 1;
        run.count('items', 2);
        run.saveCursor({ count });
        await Promise.resolve();
        yield;
        run.count('items');
      }),
    );
    await until('three runs', () => count === 3);
    const [first] = await runs();
    expect(first).toMatchObject({ job: 'count', state: 'succeeded', progress: { items: 3 } });
  });
});
