import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@nestjs/common';

/** After this, jobs that are done may start again, and another process may run them. */
const MAX_ROUND_MS = 60_000;

const MAX_PAUSE_MS = 1_000;

/** A part of a task, in batches. It starts when its first batch is asked for. */
export interface BatchedJob {
  /** Logged when a batch fails. Identifies the job. */
  readonly failure: string;
  readonly batches: AsyncGenerator<void, void>;
}

/**
 * Runs several jobs in rounds: one batch of each in turn. A round ends when all jobs are done, or after a
 * minute; jobs that are not done then continue in the next round, and the others start again. So no job
 * delays the others for long, and under any load each gets its share. After each batch it pauses for as long
 * as the batch took: half of the time is left to requests.
 */
export class BatchedJobs {
  private unfinished: readonly BatchedJob[] = [];

  /** @param signal ends a round soon after it aborts. */
  constructor(
    private readonly signal: AbortSignal,
    private readonly logger: Logger,
  ) {}

  /**
   * Runs a round. Returns whether work is left.
   *
   * @param jobs all of them, from the start.
   * @param beforeTurn runs before every turn. If it fails, the round ends with its error, and all jobs with
   *   it.
   */
  async round(jobs: readonly BatchedJob[], beforeTurn: () => Promise<void>): Promise<boolean> {
    const started = this.unfinished;
    this.unfinished = jobs.map((job) => started.find(({ failure }) => failure === job.failure) ?? job);
    const deadline = performance.now() + MAX_ROUND_MS;
    try {
      while (this.unfinished.length > 0 && !this.signal.aborted && performance.now() < deadline) {
        await beforeTurn();
        for (const job of this.unfinished) {
          if (await this.runBatch(job)) this.unfinished = this.unfinished.filter((other) => other !== job);
        }
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    if (this.signal.aborted) await this.close();
    return this.unfinished.length > 0;
  }

  /** Ends unfinished jobs, which may hold resources: an open listing, for example. */
  async close(): Promise<void> {
    const jobs = this.unfinished;
    this.unfinished = [];
    for (const { failure, batches } of jobs) await this.attempt(failure, () => batches.return());
  }

  /** Does `work`. If it fails, logs `failure` and returns undefined: one failure must not stop the rest. */
  async attempt<T>(failure: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!this.signal.aborted) this.logger.warn({ err: error }, failure);
      return undefined;
    }
  }

  /** Returns whether the job is done. */
  private async runBatch({ failure, batches }: BatchedJob): Promise<boolean> {
    if (this.signal.aborted) return false;
    const startedAt = performance.now();
    const result = await this.attempt(failure, () => batches.next());
    const isDone = result === undefined || result.done === true;
    if (!isDone) await this.pause(performance.now() - startedAt);
    return isDone;
  }

  private async pause(milliseconds: number): Promise<void> {
    const { signal } = this;
    await sleep(Math.min(milliseconds, MAX_PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }
}

/** Repeats work on up to `size` items until it returns fewer. */
export async function* inBatches(size: number, work: () => Promise<number>): AsyncGenerator<void, void> {
  while ((await work()) >= size) yield;
}
