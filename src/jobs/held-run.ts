import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { oneLine } from '../database/errors/one-line.js';
import { jobProgress, jobRuns } from '../observability/metrics/job.metrics.js';
import type { Job, JobRun, JsonValue } from './job.js';
import { JobInterruptedError, JobLeaseLostError, JobStoppedError } from './job.errors.js';
import type { JobClaim, JobOutcome, JobState, JobStore } from './job.store.js';

/** Much shorter than the lease. */
const MAX_PAUSE_MS = 10_000;

const MAX_ERROR_LENGTH = 1_000;

/** The run of a job that this process has claimed. */
export class HeldRun implements JobRun {
  private readonly logger = new Logger(HeldRun.name);
  private readonly aborting = new AbortController();
  private readonly progress: Record<string, number>;
  private currentCursor: JsonValue;
  /** As it was at the end of the last batch. */
  private savedCursor: JsonValue;

  constructor(
    private readonly job: Job,
    private readonly claim: JobClaim,
    private readonly store: JobStore,
    private readonly historySeconds: number,
  ) {
    this.progress = { ...claim.progress };
    this.currentCursor = claim.cursor;
    this.savedCursor = claim.cursor;
    if (claim.isStopRequested) this.aborting.abort(new JobStoppedError(job.name));
  }

  get signal(): AbortSignal {
    return this.aborting.signal;
  }

  get isDryRun(): boolean {
    return this.claim.isDryRun;
  }

  get cursor(): JsonValue {
    return this.currentCursor;
  }

  saveCursor(cursor: JsonValue): void {
    if (!this.isDryRun) this.currentCursor = cursor;
  }

  count(name: string, by = 1): void {
    if (by === 0) return;
    this.progress[name] = (this.progress[name] ?? 0) + by;
    if (!this.isDryRun) jobProgress.inc([this.job.name, name], by);
  }

  async verifyLease(): Promise<void> {
    this.signal.throwIfAborted();
    this.look(await this.store.prolong(this.claim));
    this.signal.throwIfAborted();
  }

  /** Looks at once whether the run shall stop. */
  async checkStop(): Promise<void> {
    if (!this.signal.aborted) this.look(await this.store.prolong(this.claim));
  }

  /** The process stops: the batch shall end. */
  interrupt(): void {
    this.aborting.abort(new JobInterruptedError(this.job.name));
  }

  /** Gives the run back, so that another process continues it. Without effect if that has been done. */
  async release(): Promise<void> {
    await this.store.release(this.claim, this.state);
  }

  /** Runs the job to its end and records how it ended. Rejects only if that could not be recorded. */
  async execute(): Promise<void> {
    let failure: Error | undefined;
    try {
      await this.runBatches();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    const { job, runId } = this.claim;
    const reason: unknown = this.signal.reason;
    if (reason instanceof JobLeaseLostError) {
      this.logger.warn({ job, run: runId }, 'lost the lease of a job: another process continues its run');
    } else if (reason instanceof JobInterruptedError) {
      await this.release();
    } else if (reason instanceof JobStoppedError) {
      await this.finish('stopped', null);
    } else if (failure !== undefined) {
      this.logger.warn({ err: failure, job, run: runId }, 'a run of a job failed');
      await this.finish('failed', oneLine(failure).slice(0, MAX_ERROR_LENGTH));
    } else {
      await this.finish('succeeded', null);
    }
  }

  private get state(): JobState {
    return { cursor: this.savedCursor, progress: this.progress };
  }

  private async finish(state: JobOutcome['state'], error: string | null): Promise<void> {
    jobRuns.inc([this.job.name, state]);
    await this.store.finish(this.claim, { ...this.state, state, error }, this.historySeconds);
  }

  private async runBatches(): Promise<void> {
    const batches = this.job.run(this);
    try {
      while (!this.signal.aborted) {
        const startedAt = performance.now();
        const { done } = await batches.next();
        this.savedCursor = this.currentCursor;
        if (done === true) return;
        const tookMs = performance.now() - startedAt;
        this.look(await this.store.save(this.claim, this.state));
        await this.pause(tookMs);
      }
    } finally {
      await batches.return();
    }
  }

  private look(row: { readonly isStopRequested: boolean } | undefined): void {
    const { name } = this.job;
    if (row === undefined) this.aborting.abort(new JobLeaseLostError(name));
    else if (row.isStopRequested) this.aborting.abort(new JobStoppedError(name));
  }

  /** Half of the time is left to requests. */
  private async pause(milliseconds: number): Promise<void> {
    const { signal } = this;
    await sleep(Math.min(milliseconds, MAX_PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }
}
