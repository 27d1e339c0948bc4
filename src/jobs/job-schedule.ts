import { Logger } from '@nestjs/common';
import { settlesWithin } from '../common/settles-within.js';
import { HeldRun } from './held-run.js';
import type { Job } from './job.js';
import type { JobStore } from './job.store.js';

/** A run may be copying a layer, or waiting for the database. */
const STOP_TIMEOUT_MS = { batch: 800, release: 200 };

/** After a start, other processes may have left runs to continue. */
const FIRST_LOOK_MS = 5_000;

/** However long the interval is: a notification is lost if the database is away. */
const MAX_WAIT_SECONDS = 60;

/** Processes look between 0.9 and 1.1 intervals after the last run, so not all at the same time. */
const JITTER = { from: 0.9, range: 0.2 };

/** Looks again and again whether this process can claim a job, and runs it. */
export class JobSchedule {
  private readonly logger = new Logger(JobSchedule.name);
  private timer: NodeJS.Timeout | undefined;
  private run: HeldRun | undefined;
  private looking: Promise<void> | undefined;
  private isWoken = false;
  private isStopped = false;

  constructor(
    readonly job: Job,
    private readonly store: JobStore,
    private readonly historySeconds: number,
  ) {}

  start(): void {
    const { intervalSeconds } = this.job;
    const withinMs = intervalSeconds > 0 ? Math.min(1000 * intervalSeconds, FIRST_LOOK_MS) : FIRST_LOOK_MS;
    this.schedule(withinMs * Math.random());
  }

  /** Looks at once: a run was requested, or shall stop. */
  wake(): void {
    this.isWoken = true;
    this.run?.checkStop().catch((error: unknown) => this.warn(error));
    this.look();
  }

  /**
   * Stops the job in this process. Waits a moment for the batch that runs now. If it does not end, the run is
   * given back all the same: the batch can't save anything then.
   */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    const { run, looking } = this;
    if (looking === undefined) return;
    run?.interrupt();
    if (await settlesWithin(looking, STOP_TIMEOUT_MS.batch)) return;
    await settlesWithin(run?.release().catch(() => undefined) ?? looking, STOP_TIMEOUT_MS.release);
  }

  private schedule(delayMs: number): void {
    if (this.isStopped) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), delayMs).unref();
  }

  private look(): void {
    if (this.isStopped) return;
    this.looking ??= this.lookUntilIdle().finally(() => (this.looking = undefined));
  }

  /**
   * Again after a run, since another one may be wanted, and if it was woken meanwhile: the request may be
   * newer than what was read.
   */
  private async lookUntilIdle(): Promise<void> {
    const { intervalSeconds } = this.job;
    let waitSeconds: number | undefined;
    try {
      do waitSeconds = await this.claimAndRun();
      while (!this.isStopped && (waitSeconds === undefined || this.wasWoken()));
    } catch (error) {
      this.warn(error);
    }
    waitSeconds ??= intervalSeconds > 0 ? intervalSeconds : MAX_WAIT_SECONDS;
    const jitterSeconds = JITTER.range * intervalSeconds * Math.random();
    this.schedule(1000 * Math.min(waitSeconds + jitterSeconds, MAX_WAIT_SECONDS));
  }

  private wasWoken(): boolean {
    const { isWoken } = this;
    this.isWoken = false;
    return isWoken;
  }

  /** Returns how long to wait; undefined after a run. */
  private async claimAndRun(): Promise<number | undefined> {
    const intervalSeconds = JITTER.from * this.job.intervalSeconds;
    const result = await this.store.claim(this.job.name, intervalSeconds);
    if (result.claim === undefined) return result.waitSeconds;
    this.run = new HeldRun(this.job, result.claim, this.store, this.historySeconds);
    try {
      if (this.isStopped) this.run.interrupt();
      await this.run.execute();
    } finally {
      this.run = undefined;
    }
    return undefined;
  }

  private warn(error: unknown): void {
    if (!this.isStopped) this.logger.warn({ err: error, job: this.job.name }, 'a job could not be run');
  }
}
