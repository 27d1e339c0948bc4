import { ContendedError } from './errors/contended.error.js';

/** The bounds of a {@link ConcurrencyLimiter}. */
export interface ConcurrencyLimits {
  /** Maximum number of tasks that run at the same time. */
  readonly maxRunning: number;
  /** … with the same key. */
  readonly maxRunningPerKey: number;
  /** Maximum number of tasks that wait. */
  readonly maxWaiting: number;
  /** … with the same key. */
  readonly maxWaitingPerKey: number;
  /** How long a task waits, in milliseconds. */
  readonly waitMs: number;
}

export const WAITING_LIMITS = { maxWaiting: 1_000, maxWaitingPerKey: 250, waitMs: 10_000 };

interface Waiting {
  readonly keys: readonly string[];
  readonly start: () => void;
}

/** The number of tasks of one key. */
interface Load {
  running: number;
  waiting: number;
}

/**
 * Limits how many tasks run at the same time, in all and per key. Tasks that would wait for one lock in
 * Postgres wait here instead, without a connection. First in, first out, except that a key at its limit is
 * passed over.
 */
export class ConcurrencyLimiter {
  private running = 0;
  private readonly waiting = new Set<Waiting>();
  private readonly loads = new Map<string, Load>();

  constructor(private readonly limits: ConcurrencyLimits) {}

  /**
   * Runs `task` as soon as the limits allow it, for each of its keys. A task without keys counts only towards
   * the overall limits.
   *
   * @param signal aborts the wait, but not a running task.
   * @throws ContendedError if too many tasks wait, or this one waits too long; Error if it was aborted.
   */
  async run<T>(keys: readonly string[], task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await this.waitForStart(keys, signal);
    try {
      return await task();
    } finally {
      this.running -= 1;
      this.count(keys, 'running', -1);
      this.startWaiting();
    }
  }

  private waitForStart(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.mayRun(keys)) return this.start(keys);
    const { maxWaiting, maxWaitingPerKey, waitMs } = this.limits;
    if (this.waiting.size >= maxWaiting || keys.some((key) => this.loadOf(key).waiting >= maxWaitingPerKey))
      throw new ContendedError();
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.waiting.delete(waiting);
        this.count(keys, 'waiting', -1);
      };
      const waiting: Waiting = {
        keys,
        start: () => {
          leaveQueue();
          this.start(keys);
          resolve();
        },
      };
      const fail = (reason: Error) => {
        leaveQueue();
        reject(reason);
      };
      const abort = () => fail(new Error('aborted while waiting to run', { cause: signal?.reason }));
      const timer = setTimeout(() => fail(new ContendedError()), waitMs);
      signal?.addEventListener('abort', abort);
      this.waiting.add(waiting);
      this.count(keys, 'waiting', 1);
    });
  }

  private start(keys: readonly string[]): undefined {
    this.running += 1;
    this.count(keys, 'running', 1);
  }

  private startWaiting(): void {
    for (const { keys, start } of this.waiting) {
      if (this.mayRun(keys)) start();
    }
  }

  private mayRun(keys: readonly string[]): boolean {
    const { maxRunning, maxRunningPerKey } = this.limits;
    return this.running < maxRunning && keys.every((key) => this.loadOf(key).running < maxRunningPerKey);
  }

  private loadOf(key: string): Readonly<Load> {
    return this.loads.get(key) ?? { running: 0, waiting: 0 };
  }

  private count(keys: readonly string[], of: keyof Load, change: 1 | -1): void {
    for (const key of keys) {
      const load = this.loads.get(key) ?? { running: 0, waiting: 0 };
      load[of] += change;
      if (load.running + load.waiting === 0) this.loads.delete(key);
      else this.loads.set(key, load);
    }
  }
}
