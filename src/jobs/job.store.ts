import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Replica } from '../common/replica.js';
import { outlastOutage } from '../database/outlast-outage.js';
import { queryRows } from '../database/query-rows.js';
import type { JsonValue } from './job.js';

/** Longer than any batch takes. A process that was killed is noticed earlier: see `claim_job`. */
export const LEASE_SECONDS = 60;

/** How long a run waits for Postgres to restart or to fail over. */
const MAX_OUTAGE_MS = 20_000;

/** The right to run a job, until another claim raises the fence. */
export interface JobClaim {
  readonly job: string;
  readonly fence: string;
  readonly runId: string;
  readonly isDryRun: boolean;
  readonly isStopRequested: boolean;
  readonly cursor: JsonValue;
  readonly progress: JobProgress;
}

export type JobProgress = Readonly<Record<string, number>>;

/** What a run saves after each batch. */
export interface JobState {
  readonly cursor: JsonValue;
  readonly progress: JobProgress;
}

export interface JobOutcome extends JobState {
  readonly state: 'succeeded' | 'failed' | 'stopped';
  readonly error: string | null;
}

/** A claim, or how long to wait before the next try. */
export type ClaimResult =
  { readonly claim: JobClaim } | { readonly claim: undefined; readonly waitSeconds: number };

interface ClaimRow {
  wait_seconds: number;
  fence: string | null;
  run_id: string;
  is_dry_run: boolean;
  stop_requested: boolean;
  cursor: JsonValue;
  progress: JobProgress;
}

const CLAIM = 'SELECT * FROM claim_job($1, $2::float8, $3, $4::float8)';

/** The row of the job first, as in the functions. */
const SAVE = `
  WITH held AS (
    UPDATE jobs SET lease_expires_at = now() + $5::float8 * interval '1 second', cursor = $3::jsonb
     WHERE name = $1 AND fence = $2::bigint RETURNING run_id)
  UPDATE job_runs SET progress = $4::jsonb FROM held WHERE id = held.run_id
  RETURNING stop_requested_at IS NOT NULL AS "isStopRequested"`;

const PROLONG = `
  WITH held AS (
    UPDATE jobs SET lease_expires_at = now() + $3::float8 * interval '1 second'
     WHERE name = $1 AND fence = $2::bigint RETURNING run_id)
  SELECT stop_requested_at IS NOT NULL AS "isStopRequested" FROM job_runs
   WHERE id = (SELECT run_id FROM held)`;

const FINISH = 'SELECT finish_job_run($1, $2::bigint, $3, $4, $5::jsonb, $6::jsonb, $7::float8) AS done';
const RELEASE = 'SELECT release_job($1, $2::bigint, $3::jsonb, $4::jsonb) AS done';

/** Claims of jobs. Each method is one idempotent statement. All but `claim` outlast an outage. */
@Injectable()
export class JobStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly replica: Replica,
  ) {}

  /**
   * Claims a job if a run is queued, was interrupted, or is due. Otherwise it reads one row.
   *
   * @param intervalSeconds the least time since the last run; 0: no run is ever due.
   */
  async claim(job: string, intervalSeconds: number): Promise<ClaimResult> {
    const parameters = [job, intervalSeconds, this.replica.name, LEASE_SECONDS];
    const [row] = await queryRows<ClaimRow>(this.dataSource.manager, CLAIM, parameters);
    if (row === undefined) throw new Error(`the job ${job} has no row`);
    if (row.fence === null) return { claim: undefined, waitSeconds: row.wait_seconds };
    const { fence, run_id, is_dry_run, stop_requested, cursor, progress } = row;
    return {
      claim: {
        ...{ job, fence, runId: run_id, isDryRun: is_dry_run, isStopRequested: stop_requested },
        ...{ cursor, progress },
      },
    };
  }

  /** Saves the state and prolongs the lease. Returns undefined if the claim is lost. */
  async save({ job, fence }: JobClaim, { cursor, progress }: JobState) {
    const state = [JSON.stringify(cursor), JSON.stringify(progress)];
    const [row] = await this.query<{ isStopRequested: boolean }>(SAVE, [job, fence, ...state, LEASE_SECONDS]);
    return row;
  }

  /** Prolongs the lease. Returns undefined if the claim is lost. */
  async prolong({ job, fence }: JobClaim): Promise<{ readonly isStopRequested: boolean } | undefined> {
    const [row] = await this.query<{ isStopRequested: boolean }>(PROLONG, [job, fence, LEASE_SECONDS]);
    return row;
  }

  /** Ends the run, and deletes runs older than this. Returns false if the claim is lost. */
  finish({ job, fence }: JobClaim, outcome: JobOutcome, historySeconds: number): Promise<boolean> {
    const { state, error, cursor, progress } = outcome;
    const json = [JSON.stringify(cursor), JSON.stringify(progress)];
    return this.isDone(FINISH, [job, fence, state, error, ...json, historySeconds]);
  }

  /** Gives the claim back, so that another process continues the run. Returns false if it is lost. */
  release({ job, fence }: JobClaim, { cursor, progress }: JobState): Promise<boolean> {
    return this.isDone(RELEASE, [job, fence, JSON.stringify(cursor), JSON.stringify(progress)]);
  }

  private async isDone(sql: string, parameters: unknown[]): Promise<boolean> {
    const [row] = await this.query<{ done: boolean }>(sql, parameters);
    return row?.done === true;
  }

  private query<Row>(sql: string, parameters: unknown[]): Promise<Row[]> {
    return outlastOutage(MAX_OUTAGE_MS, () => queryRows<Row>(this.dataSource.manager, sql, parameters));
  }
}
