import { BadRequestException, ConflictException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import { JobRunUnknownError, JobUnknownError } from './job.errors.js';
import type { Job } from './job.js';
import { Jobs } from './jobs.js';

/** Who asks, as the audit log has it. */
export interface JobRequestOrigin {
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
}

interface RequestRow {
  run_id: string | null;
  unfinished_run_id: string | null;
}

const REQUEST = `
  SELECT run_id, unfinished_run_id FROM request_job_run($1, $2::boolean, $3, $4, $5, $6)`;
const STOP = 'SELECT stop_job_run($1::bigint, $2, $3, $4, $5) AS done';
const SET_PAUSED = 'SELECT pause_job($1, $2::boolean, $3, $4, $5, $6)';

/** What operators ask of jobs. Each is one statement, which also records it in the audit log. */
@Injectable()
export class JobRequests {
  constructor(
    private readonly dataSource: DataSource,
    private readonly jobs: Jobs,
  ) {}

  /** Returns the job. @throws JobUnknownError */
  expect(name: string): Job {
    const job = this.jobs.find(name);
    if (job === undefined) throw new JobUnknownError(name);
    return job;
  }

  /**
   * Queues a run, which starts at once in one of the processes. Returns its id.
   *
   * @throws JobUnknownError; BadRequestException if the job has no dry run; ConflictException if a run of the
   *   job has not ended, or if the job is paused.
   */
  async run(name: string, isDryRun: boolean, origin: JobRequestOrigin): Promise<string> {
    if (!this.expect(name).hasDryRun && isDryRun) throw new BadRequestException(noDryRun(name));
    const [row] = await this.query<RequestRow>(REQUEST, [name, isDryRun, ...parametersOf(origin)]);
    if (row === undefined) throw new Error(`requesting a run of ${name} returned nothing`);
    if (row.run_id !== null) return row.run_id;
    const unfinished = row.unfinished_run_id;
    throw new ConflictException(unfinished === null ? isPaused(name) : isRunning(name, unfinished));
  }

  /**
   * Asks a run to stop. It ends after its current batch; a queued run ends at once.
   *
   * @throws JobRunUnknownError; ConflictException if it has ended.
   */
  async stop(id: string, origin: JobRequestOrigin): Promise<void> {
    const [row] = await this.query<{ done: boolean | null }>(STOP, [id, ...parametersOf(origin)]);
    if (row === undefined || row.done === null) throw new JobRunUnknownError(id);
    if (!row.done) throw new ConflictException(hasEnded(id));
  }

  /** A paused job starts no runs, and the run that has begun is asked to stop. @throws JobUnknownError */
  async setPaused(name: string, paused: boolean, origin: JobRequestOrigin): Promise<void> {
    await this.query(SET_PAUSED, [this.expect(name).name, paused, ...parametersOf(origin)]);
  }

  private query<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, parameters);
  }
}

export const noDryRun = (job: string) => `dryRun: the job ${job} has no dry run`;
export const isPaused = (job: string) =>
  `the job ${job} is paused: resume it first, with PUT /api/v1/jobs/${job}/paused and {"paused": false}`;
export const isRunning = (job: string, run: string) =>
  `the run ${run} of the job ${job} has not ended: stop it, or wait for its end`;
export const hasEnded = (run: string) => `the run ${run} has ended`;

function parametersOf({ actor, clientAddress, userAgent, requestId }: JobRequestOrigin): unknown[] {
  return [actor, clientAddress, userAgent, requestId];
}
