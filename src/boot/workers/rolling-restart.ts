import type { Logger } from 'pino';
import { formatDuration, quantity } from '../../common/quantity.js';
import type { WorkerEnd, WorkerProcess } from './worker-process.js';
import type { WorkerSlot } from './worker-slot.js';

/** A start that takes longer is logged: it may wait for a database, or migrate a large one. */
const SLOW_START_MS = 60_000;
/** A start that takes longer is ended: it hangs. */
const MAX_START_MS = 15 * 60_000;

/** What a restart needs of its pool. */
export interface RestartPool {
  launch(): WorkerProcess;
  /** Waits until one more old worker may run. */
  roomForOld(): Promise<void>;
  /** Lets a worker finish its requests and end. */
  retire(worker: WorkerProcess): void;
  isStopping(): boolean;
}

/**
 * Replaces workers without a gap, one after the other: starts a new one from the code on disk, waits until it
 * serves, and then lets the old one finish. If a new one doesn't start, the old ones continue. A request
 * during a restart is done after it.
 */
export class RollingRestart {
  private readonly wanted = new Set<WorkerSlot>();
  private requests = 0;
  private running: Promise<void> | undefined;

  constructor(
    private readonly pool: RestartPool,
    private readonly logger: Logger,
  ) {}

  /** Replaces the workers of these slots. Never rejects; the log says what became of it. */
  request(slots: readonly WorkerSlot[]): void {
    const isNew = this.running === undefined;
    this.requests += 1;
    for (const slot of slots) this.wanted.add(slot);
    const what = quantity(slots.length, 'worker') + (slots.length > 1 ? ', one after the other' : '');
    this.logger.info(
      { restart: { workers: slots.length } },
      isNew ? `restarting: ${what}` : `restarting, after the restart in progress: ${what}`,
    );
    this.running ??= this.run().finally(() => (this.running = undefined));
  }

  private async run(): Promise<void> {
    const begun = performance.now();
    let done = 0;
    let version: string | undefined;
    // Slots that are wanted again meanwhile come once more.
    for (const slot of this.wanted) {
      const { requests } = this;
      this.wanted.delete(slot);
      await this.pool.roomForOld();
      if (this.pool.isStopping()) return this.wanted.clear();
      const worker = this.pool.launch();
      const failure = await this.replace(slot, worker);
      if (this.pool.isStopping()) return this.wanted.clear();
      if (failure === undefined) done += 1;
      else this.reportFailure(failure, done);
      version = worker.version ?? version;
      // A request after the start of that worker may be for other code.
      if (failure !== undefined && this.requests === requests) return this.wanted.clear();
    }
    const durationMs = Math.round(performance.now() - begun);
    this.logger.info(
      { restart: { workers: done, durationMs, version } },
      `restarted in ${formatDuration(durationMs)}: ${quantity(done, 'worker')} replaced` +
        (version === undefined ? '' : `, version ${version}`),
    );
  }

  /** Returns why the new worker doesn't serve. */
  private async replace(slot: WorkerSlot, worker: WorkerProcess): Promise<string | undefined> {
    const end = await this.started(worker);
    if (end !== undefined)
      return end.reason ?? `a new worker ended before it served, with ${end.how}: see its log.`;
    const old = slot.replace(worker);
    if (old !== undefined) this.pool.retire(old);
    return undefined;
  }

  /** As `worker.started`, within `MAX_START_MS`. */
  private async started(worker: WorkerProcess): Promise<WorkerEnd | undefined> {
    const fields = { restart: { worker: worker.pid } };
    const report = (what: string) => this.logger.warn(fields, `a new worker does not serve after ${what}`);
    const slow = setTimeout(() => report('60 s yet: the old ones continue'), SLOW_START_MS);
    const hung = setTimeout(() => {
      report('15 min: killed');
      worker.kill();
    }, MAX_START_MS);
    try {
      return await worker.started;
    } finally {
      for (const timer of [slow, hung]) clearTimeout(timer);
    }
  }

  private reportFailure(reason: string, done: number): void {
    const what =
      done === 0
        ? 'failed; all workers continue'
        : `failed after ${quantity(done, 'worker')}; the others continue`;
    this.logger.error({ restart: { workers: done } }, `the restart ${what}: ${reason}`);
  }
}
