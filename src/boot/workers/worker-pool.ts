import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { FileLock } from '../../common/file-lock.js';
import { StartupError } from '../../common/startup.error.js';
import { settlesWithin } from '../../common/settles-within.js';
import { RestartPace } from './restart-pace.js';
import { noteWorkers } from './worker-lock.js';
import { type WorkerEnd, WorkerProcess } from './worker-process.js';

/** Deaths in a row, none of them having served, after which it is no use. */
const MOST_FAILED_STARTS = 5;

/**
 * A statement that a worker had handed to Postgres before it died may run after its leases were freed, and take another one. It
 * takes milliseconds; then they are freed once more.
 */
const LATE_STATEMENT_MS = 2_000;

/** How long a stop waits for a database that doesn't answer. */
const FREE_PATIENCE_MS = 2_000;

export interface WorkerPoolOptions {
  readonly count: number;
  /** What the workers' environment has beside the primary's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Held by every worker, see `takeWorkerLock`. */
  readonly lock: FileLock | undefined;
  /** How long a worker that was asked to end may take. */
  readonly stopPatienceMs: number;
  /** Frees the leases of a worker whose process has ended. */
  readonly free: (holder: string) => Promise<void>;
  readonly logger: Logger;
}

/** The processes that serve: kept at their number until `stop`. */
export class WorkerPool {
  /** Settles, and never rejects, with a sentence when the pool, having served, gives up. */
  readonly died: Promise<string>;
  private readonly workers = new Set<WorkerProcess>();
  private readonly stopping = new AbortController();
  private readonly places: Promise<void>[] = [];
  private readonly freeing = new Set<Promise<void>>();
  private readonly started: Promise<string>;
  private resolveStarted: (url: string) => void = () => undefined;
  private rejectStarted: (reason: StartupError) => void = () => undefined;
  private resolveDied: (sentence: string) => void = () => undefined;
  private hasServed = false;
  private failedStarts = 0;
  private readonly disorder: string[] = [];

  constructor(private readonly options: WorkerPoolOptions) {
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    this.died = new Promise((resolve) => (this.resolveDied = resolve));
    const { lock } = options;
    // The workers accept for themselves. Node's other way, where the primary accepts and hands connections over, lets one
    // hang for ever that was on its way to a worker when it died.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...(lock === undefined ? [] : [lock.fd])],
    });
  }

  /**
   * Forks the workers and answers the address when all of them serve.
   *
   * @throws StartupError when they can't.
   */
  start(): Promise<string> {
    process.once('exit', this.killAll);
    for (let slot = 0; slot < this.options.count; slot += 1) this.places.push(this.keep());
    return this.started;
  }

  /** Ends the workers in order, all at once. @throws when one of them didn't. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const worker of this.workers) worker.stop();
    const patience = setTimeout(this.killAll, this.options.stopPatienceMs);
    await Promise.all(this.places);
    clearTimeout(patience);
    await settlesWithin(Promise.all(this.freeing), FREE_PATIENCE_MS);
    process.removeListener('exit', this.killAll);
    if (this.disorder.length > 0)
      throw new Error(`not every worker ended in order: ${this.disorder.join(', ')}`);
  }

  /** One place in the pool, taken by one worker after the other. Never rejects. */
  private async keep(): Promise<void> {
    const pace = new RestartPace();
    while (!this.isStopping()) {
      const worker = this.launch();
      const end = await worker.ended;
      this.workers.delete(worker);
      // Not awaited: a database that doesn't answer is no reason to serve with fewer.
      if (end.holder !== undefined) this.free(end.holder);
      if (this.isStopping() && !end.inOrder && end.servedMs > 0) this.disorder.push(end.how);
      if (this.isStopping() || !this.goesOnAfter(end)) return;
      const pauseMs = pace.pauseAfter(end.servedMs);
      const level = end.inOrder ? 'info' : 'warn';
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

  /** For a message alone, so a disk that fails is no reason to serve with fewer. */
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

  /** False: the pool is given up. As long as one worker serves, it is better than none. */
  private goesOnAfter({ sentence, servedMs, how }: WorkerEnd): boolean {
    if (servedMs > 0) return true;
    this.failedStarts += 1;
    if (!this.hasServed && sentence !== undefined) return this.giveUp(sentence);
    if (sentence !== undefined) this.options.logger.error(sentence);
    const anyServes = [...this.workers].some((worker) => worker.isServing);
    if (this.failedStarts < MOST_FAILED_STARTS || (this.hasServed && anyServes)) return true;
    return this.giveUp(
      sentence ??
        `${this.failedStarts} workers in a row ended before they served, the last one with ${how}: what they logged says why.`,
    );
  }

  private giveUp(sentence: string): false {
    this.rejectStarted(new StartupError(sentence));
    if (this.hasServed) this.resolveDied(sentence);
    return false;
  }

  /** Its process is gone, so nothing of it writes any more: its uploads go on at once, and where they are. */
  private free(holder: string): void {
    const { signal } = this.stopping;
    const freeTwice = async () => {
      await this.options.free(holder);
      await delay(LATE_STATEMENT_MS, undefined, { signal }).catch(() => undefined);
      await this.options.free(holder);
    };
    const task = freeTwice()
      .catch((error: unknown) =>
        this.options.logger.warn({ err: error }, 'leases of a dead worker could not be freed: they lapse'),
      )
      .finally(() => this.freeing.delete(task));
    this.freeing.add(task);
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
