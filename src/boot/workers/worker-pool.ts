import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { FileLock } from '../../common/file-lock.js';
import { StartupError } from '../../common/startup.error.js';
import { settlesWithin } from '../../common/settles-within.js';
import { sumOfWork, type WorkInProgress } from '../work-in-progress.js';
import { RestartPace } from './restart-pace.js';
import { noteWorkers } from './worker-lock.js';
import { type WorkerEnd, WorkerProcess } from './worker-process.js';

/** The pool fails after this many workers in a row that ended before they served. */
const MAX_FAILED_STARTS = 5;

/**
 * A statement that a worker sent before it ended may run after its leases were released, and take another
 * lease. So they are released once more after this time; the statement takes milliseconds.
 */
const LATE_STATEMENT_MS = 2_000;

/** How long a stop waits for a database that does not respond. */
const RELEASE_TIMEOUT_MS = 2_000;

export interface WorkerPoolOptions {
  readonly count: number;
  /** Added to the primary's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Inherited by each worker, see `takeWorkerLock`. */
  readonly lock: FileLock | undefined;
  /** How long the stop of a worker may take. */
  readonly stopTimeoutMs: number;
  /** Releases the leases of a worker whose process has ended. */
  readonly releaseLeases: (holder: string) => Promise<void>;
  readonly logger: Logger;
}

/** Keeps a number of worker processes running until `stop`. */
export class WorkerPool {
  /** Resolves with a reason if the pool fails after it has served. Never rejects. */
  readonly died: Promise<string>;
  private readonly workers = new Set<WorkerProcess>();
  private readonly stopping = new AbortController();
  private readonly slots: Promise<void>[] = [];
  private readonly releases = new Set<Promise<void>>();
  private readonly started: Promise<string>;
  private resolveStarted: (url: string) => void = () => undefined;
  private rejectStarted: (reason: StartupError) => void = () => undefined;
  private resolveDied: (reason: string) => void = () => undefined;
  private hasServed = false;
  private failedStarts = 0;
  private readonly uncleanEnds: string[] = [];

  constructor(private readonly options: WorkerPoolOptions) {
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    this.died = new Promise((resolve) => (this.resolveDied = resolve));
    const { lock } = options;
    // Workers accept connections themselves. If the primary accepted them, a connection that it sends to a
    // worker that just ended would hang forever.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...(lock === undefined ? [] : [lock.fd])],
    });
  }

  /** Forks the workers. Returns the address when all of them serve. @throws StartupError if they can't. */
  start(): Promise<string> {
    process.once('exit', this.killAll);
    for (let slot = 0; slot < this.options.count; slot += 1) this.slots.push(this.runSlot());
    return this.started;
  }

  /** What a stop would wait for, in all workers. */
  async work(): Promise<WorkInProgress> {
    return sumOfWork(await Promise.all([...this.workers].map((worker) => worker.work())));
  }

  /** Stops all workers at the same time. @throws if one of them did not end cleanly. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const worker of this.workers) worker.stop();
    const timeout = setTimeout(this.killAll, this.options.stopTimeoutMs);
    await Promise.all(this.slots);
    clearTimeout(timeout);
    await settlesWithin(Promise.all(this.releases), RELEASE_TIMEOUT_MS);
    process.removeListener('exit', this.killAll);
    if (this.uncleanEnds.length > 0)
      throw new Error(`not every worker ended cleanly: ${this.uncleanEnds.join(', ')}`);
  }

  /** Runs one worker after the other. Never rejects. */
  private async runSlot(): Promise<void> {
    const pace = new RestartPace();
    while (!this.isStopping()) {
      const worker = this.launch();
      const end = await worker.ended;
      this.workers.delete(worker);
      // Not awaited: a database that does not respond must not delay the next worker.
      if (end.holder !== undefined) this.releaseLeases(end.holder);
      if (this.isStopping() && !end.isClean && end.servedMs > 0) this.uncleanEnds.push(end.how);
      if (this.isStopping() || !this.shouldReplace(end)) return;
      const pauseMs = pace.pauseAfter(end.servedMs);
      const level = end.isClean ? 'info' : 'warn';
      this.options.logger[level]({ worker: worker.pid, how: end.how, pauseMs }, 'a worker has ended');
      await delay(pauseMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  private launch(): WorkerProcess {
    const forked: Worker = cluster.fork(this.options.environment);
    const worker = new WorkerProcess(forked, (url) => this.onServing(url));
    this.workers.add(worker);
    this.noteWorkers();
    return worker;
  }

  /** A failure is only logged: the process ids are only for messages. */
  private noteWorkers(): void {
    const { lock, logger } = this.options;
    if (lock === undefined) return;
    try {
      noteWorkers(lock, this.pids());
    } catch (error) {
      logger.warn({ err: error }, 'the process ids of the workers could not be written to workers.lock');
    }
  }

  private onServing(url: string): void {
    this.failedStarts = 0;
    const serving = [...this.workers].filter((worker) => worker.isServing).length;
    if (this.hasServed || serving < this.options.count) return;
    this.hasServed = true;
    this.resolveStarted(url);
  }

  /** Returns false if the pool fails. It doesn't while a worker serves. */
  private shouldReplace({ reason, servedMs, how }: WorkerEnd): boolean {
    if (servedMs > 0) return true;
    this.failedStarts += 1;
    if (!this.hasServed && reason !== undefined) return this.fail(reason);
    if (reason !== undefined) this.options.logger.error(reason);
    const anyServes = [...this.workers].some((worker) => worker.isServing);
    if (this.failedStarts < MAX_FAILED_STARTS || (this.hasServed && anyServes)) return true;
    return this.fail(
      reason ??
        `${this.failedStarts} workers in a row ended before they served, the last one with ${how}: ` +
          'see their log.',
    );
  }

  private fail(reason: string): false {
    this.rejectStarted(new StartupError(reason));
    if (this.hasServed) this.resolveDied(reason);
    return false;
  }

  /** The process has ended, so it writes nothing: other workers can resume its uploads in place. */
  private releaseLeases(holder: string): void {
    const { signal } = this.stopping;
    const releaseTwice = async () => {
      await this.options.releaseLeases(holder);
      await delay(LATE_STATEMENT_MS, undefined, { signal }).catch(() => undefined);
      await this.options.releaseLeases(holder);
    };
    const task = releaseTwice()
      .catch((error: unknown) =>
        this.options.logger.warn(
          { err: error },
          'the leases of a worker that ended could not be released: they will lapse',
        ),
      )
      .finally(() => this.releases.delete(task));
    this.releases.add(task);
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private pids(): number[] {
    return [...this.workers].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  private readonly killAll = (): void => {
    for (const worker of this.workers) worker.kill();
  };
}
