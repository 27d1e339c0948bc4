import cluster from 'node:cluster';
import type { Logger } from 'pino';
import type { FileLock } from '../../common/file-lock.js';
import { quantity } from '../../common/quantity.js';
import { StartupError } from '../../common/startup.error.js';
import type { StopOptions } from '../stop-options.js';
import { sumOfWork, type WorkInProgress } from '../work-in-progress.js';
import { LeaseReleases } from './lease-releases.js';
import { RollingRestart } from './rolling-restart.js';
import { noteWorkers } from './worker-lock.js';
import { WorkerMetrics } from './worker-metrics.js';
import { type WorkerEnd, WorkerProcess } from './worker-process.js';
import { WorkerSlot } from './worker-slot.js';

/** The pool fails after this many workers in a row that ended before they served. */
const MAX_FAILED_STARTS = 5;

export interface WorkerPoolOptions {
  readonly count: number;
  /** How many times `count` workers may still finish their requests after restarts. */
  readonly oldGenerations: number;
  /** How long they may take. */
  readonly handoverSeconds: number;
  /** Added to the primary's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Inherited by each worker, see `takeWorkerLock`. */
  readonly lock?: FileLock | undefined;
  /** Releases the leases of a worker whose process has ended. Unset if workers take none. */
  readonly releaseLeases?: (holder: string) => Promise<void>;
  readonly logger: Logger;
}

/** Keeps a number of worker processes running until `stop`. */
export class WorkerPool {
  /** Resolves with a reason if the pool fails after it has served. Never rejects. */
  readonly died: Promise<string>;
  private readonly workers = new Set<WorkerProcess>();
  /** Those of them that another one has replaced. */
  private readonly old = new Set<WorkerProcess>();
  private readonly ends = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private readonly slots: readonly WorkerSlot[];
  private readonly running: Promise<void>[] = [];
  private readonly restarts: RollingRestart;
  private readonly releases: LeaseReleases | undefined;
  private readonly started: Promise<string>;
  private resolveStarted: (url: string) => void = () => undefined;
  private rejectStarted: (reason: StartupError) => void = () => undefined;
  private resolveDied: (reason: string) => void = () => undefined;
  private hasServed = false;
  private failedStarts = 0;
  private readonly uncleanEnds: string[] = [];
  private readonly workerMetrics = new WorkerMetrics(this.workers, (worker) => this.old.has(worker));

  constructor(private readonly options: WorkerPoolOptions) {
    const { lock, count, releaseLeases, logger } = options;
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    this.died = new Promise((resolve) => (this.resolveDied = resolve));
    const { signal } = this.stopping;
    const launch = () => this.launch();
    this.slots = Array.from(
      { length: count },
      () =>
        new WorkerSlot({
          ...{ signal, launch },
          shouldReplace: (end) => this.shouldReplace(end),
          onReplacing: ({ pid }, { how, isClean }, pauseMs) =>
            logger[isClean ? 'info' : 'warn']({ worker: pid, how, pauseMs }, 'a worker has ended'),
        }),
    );
    const retire = (worker: WorkerProcess) => this.retire(worker);
    this.restarts = new RollingRestart(
      { launch, retire, isStopping: () => this.isStopping(), roomForOld: () => this.roomForOld() },
      logger,
    );
    if (releaseLeases !== undefined) this.releases = new LeaseReleases(releaseLeases, logger);
    // Workers accept connections themselves. If the primary accepted them, a connection that it sends to a
    // worker that just ended would hang forever. All have the same socket, which is open while one has it.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...(lock === undefined ? [] : [lock.fd])],
    });
  }

  /** Forks the workers. Returns the address when all of them serve. @throws StartupError if they can't. */
  start(): Promise<string> {
    process.once('exit', this.killAll);
    for (const slot of this.slots) this.running.push(slot.run());
    return this.started;
  }

  /** Replaces workers, all without `slots`, by new ones from the code on disk: see {@link RollingRestart}. */
  restart(slots = this.slots): void {
    if (slots.length > 0 && !this.isStopping()) this.restarts.request(slots);
  }

  /** What a stop would wait for, in all workers. */
  async work(): Promise<WorkInProgress> {
    return sumOfWork(await Promise.all([...this.workers].map((worker) => worker.work())));
  }

  /** The metrics of this process and all workers, as Prometheus reads them. */
  metrics(): Promise<string> {
    return this.workerMetrics.text();
  }

  /** Stops all workers at the same time. @throws if one of them did not end cleanly. */
  async stop(options: StopOptions): Promise<void> {
    this.stopping.abort();
    for (const worker of this.workers) worker.stop(options);
    await Promise.all([...this.running, ...this.ends]);
    await this.releases?.stop();
    process.removeListener('exit', this.killAll);
    if (this.uncleanEnds.length > 0)
      throw new Error(`not every worker ended cleanly: ${this.uncleanEnds.join(', ')}`);
  }

  private launch(): WorkerProcess {
    const forked = cluster.fork(this.options.environment);
    const worker = new WorkerProcess(forked, {
      onServing: (url) => this.onServing(url),
      onReplaceMe: () => this.restart(this.slots.filter((slot) => slot.holds(worker))),
      onFrozen: (seconds) =>
        this.options.logger.error(
          { worker: worker.pid },
          `a worker has not responded for ${seconds} s: killed`,
        ),
      allMetrics: () => this.metrics(),
    });
    this.workers.add(worker);
    this.noteWorkers();
    const over = worker.ended.then((end) => {
      this.ends.delete(over);
      this.onEnd(worker, end);
    });
    this.ends.add(over);
    return worker;
  }

  private onEnd(worker: WorkerProcess, { holder, how, isClean, servedMs }: WorkerEnd): void {
    this.workers.delete(worker);
    this.workerMetrics.keep(worker);
    // Not awaited: a database that does not respond must not delay the next worker. The process writes
    // nothing any more.
    if (holder !== undefined) this.releases?.begin(holder);
    const wasOld = this.old.delete(worker);
    if (this.isStopping() && !isClean && servedMs > 0) this.uncleanEnds.push(how);
    else if (wasOld)
      this.options.logger[isClean ? 'info' : 'warn'](
        { restart: { worker: worker.pid, how } },
        `an old worker has ended (${how})`,
      );
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
    const anyServes = [...this.workers].some((worker) => worker.isServing && !this.old.has(worker));
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

  private retire(worker: WorkerProcess): void {
    this.old.add(worker);
    worker.stop({ graceSeconds: this.options.handoverSeconds, isHandover: true });
  }

  /** Each old worker has memory and connections to the database of its own. */
  private async roomForOld(): Promise<void> {
    const { oldGenerations, count, logger } = this.options;
    const isFull = () => this.old.size >= oldGenerations * count;
    if (isFull())
      logger.warn(
        `the restart waits: ${quantity(this.old.size, 'worker')} of earlier restarts still finish requests`,
      );
    while (isFull() && !this.isStopping()) await Promise.race([...this.old].map(({ ended }) => ended));
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
