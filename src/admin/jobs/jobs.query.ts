import { Injectable } from '@nestjs/common';
import type { JobRunState } from '../../database/entities/job-run.entity.js';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import { JobRunUnknownError } from '../../jobs/job.errors.js';
import type { Job } from '../../jobs/job.js';

export interface JobRunSummary {
  readonly id: string;
  readonly job: string;
  readonly state: JobRunState;
  readonly requested: boolean;
  readonly requestedBy: string | null;
  readonly dryRun: boolean;
  readonly replica: string | null;
  readonly progress: Readonly<Record<string, number>>;
  readonly error: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly stopRequestedAt: Date | null;
  readonly endedAt: Date | null;
}

export interface JobSummary {
  readonly name: string;
  readonly description: string;
  readonly intervalSeconds: number;
  readonly hasDryRun: boolean;
  readonly paused: boolean;
  readonly currentRun: JobRunSummary | null;
  readonly lastEndedAt: Date | null;
  readonly lastError: string | null;
}

interface JobRow {
  name: string;
  paused: boolean;
  runId: string | null;
  lastEndedAt: Date | null;
  lastError: string | null;
}

const JOBS = `
  SELECT name, paused, run_id AS "runId", ended_at AS "lastEndedAt", error AS "lastError"
    FROM jobs WHERE name = ANY ($1)`;

const RUN_COLUMNS = `
  id, job, state, is_requested AS requested, requested_by AS "requestedBy", is_dry_run AS "dryRun", replica,
  progress, error, created_at AS "createdAt", started_at AS "startedAt",
  stop_requested_at AS "stopRequestedAt", ended_at AS "endedAt"`;

const RUNS = `SELECT ${RUN_COLUMNS} FROM job_runs WHERE id = ANY ($1::bigint[])`;

/** Rows are compared, so that the page is a range of the index, whatever the statistics say. */
const RUNS_OF_JOB = `
  SELECT ${RUN_COLUMNS} FROM job_runs
   WHERE (job, id) < ($1, $2::bigint) AND job >= $1
   ORDER BY job DESC, id DESC
   LIMIT $3`;

/** Ids are below it. */
const END = '9223372036854775807';

/** Reads jobs and their runs for the admin API. */
@Injectable()
export class JobsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** The state of these jobs, in their order. */
  async describe(jobs: readonly Job[]): Promise<JobSummary[]> {
    const rows = await this.lists.run<JobRow>(JOBS, [jobs.map(({ name }) => name)]);
    const runs = await this.runsOf(rows);
    return jobs.map(({ name, description, intervalSeconds, hasDryRun }) => {
      const row = rows.find((row) => row.name === name);
      return {
        ...{ name, description, intervalSeconds, hasDryRun },
        paused: row?.paused ?? false,
        currentRun: runs.find(({ id }) => id === row?.runId) ?? null,
        lastEndedAt: row?.lastEndedAt ?? null,
        lastError: row?.lastError ?? null,
      };
    });
  }

  /** The runs of a job, the newest first. */
  list(job: string, { after, limit }: PageRequest): Promise<Page<JobRunSummary>> {
    return this.lists.page(RUNS_OF_JOB, [job, after ?? END], limit);
  }

  /** @throws JobRunUnknownError */
  async getRun(id: string): Promise<JobRunSummary> {
    const [run] = await this.lists.run<JobRunSummary>(RUNS, [[id]]);
    if (run === undefined) throw new JobRunUnknownError(id);
    return run;
  }

  private async runsOf(rows: readonly JobRow[]): Promise<JobRunSummary[]> {
    const ids = rows.map(({ runId }) => runId).filter((id) => id !== null);
    return ids.length === 0 ? [] : this.lists.run<JobRunSummary>(RUNS, [ids]);
  }
}
