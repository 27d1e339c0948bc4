import { setTimeout as delay } from 'node:timers/promises';
import { RestartPace } from './restart-pace.js';
import type { WorkerEnd, WorkerProcess } from './worker-process.js';

/** What a slot needs of its pool. */
export interface SlotPool {
  launch(): WorkerProcess;
  /** Called when the worker of a slot ended. Returns false if no other one should take its place. */
  shouldReplace(end: WorkerEnd): boolean;
  /** Called before the pause in front of the next worker. */
  onReplacing(worker: WorkerProcess, end: WorkerEnd, pauseMs: number): void;
  /** Aborted when the pool stops. */
  readonly signal: AbortSignal;
}

/** One of the places of a pool. Keeps a worker in it. */
export class WorkerSlot {
  private readonly pace = new RestartPace();
  private worker: WorkerProcess | undefined;
  private onReplaced: () => void = () => undefined;

  constructor(private readonly pool: SlotPool) {}

  holds(worker: WorkerProcess): boolean {
    return this.worker === worker;
  }

  /** Puts a worker in the place of the current one, and returns that. */
  replace(successor: WorkerProcess): WorkerProcess | undefined {
    const { worker } = this;
    this.worker = successor;
    this.onReplaced();
    return worker;
  }

  /** Starts workers, one after the other, until the pool stops. Never rejects. */
  async run(): Promise<void> {
    const { pool, pace } = this;
    while (!this.isStopping()) {
      const worker = (this.worker ??= pool.launch());
      const replaced = new Promise<undefined>((resolve) => (this.onReplaced = () => resolve(undefined)));
      const end = await Promise.race([worker.ended, replaced]);
      if (end === undefined || this.worker !== worker) continue;
      this.worker = undefined;
      if (this.isStopping() || !pool.shouldReplace(end)) return;
      const pauseMs = pace.pauseAfter(end.servedMs);
      pool.onReplacing(worker, end, pauseMs);
      await delay(pauseMs, undefined, { signal: pool.signal }).catch(() => undefined);
    }
  }

  private isStopping(): boolean {
    return this.pool.signal.aborted;
  }
}
