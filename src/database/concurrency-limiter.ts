import { ContendedError } from './errors/contended.error.js';

/** How {@link ConcurrencyLimiter} are bounded. */
export interface ConcurrencyLimits {
  /** Most pieces of work that run at the same time. */
  readonly maxRunning: number;
  /** … of them, most that have the same key. */
  readonly maxRunningPerKey: number;
  /** Most pieces of work that wait. */
  readonly maxWaiting: number;
  /** … of them, most that have the same key. */
  readonly maxWaitingPerKey: number;
  /** How long one waits, in milliseconds. */
  readonly waitMs: number;
}

export const WAITING_LIMITS = { maxWaiting: 1_000, maxWaitingPerKey: 250, waitMs: 10_000 };

interface Waiting {
  readonly key: string | undefined;
  readonly start: () => void;
}

/** What a key has at the moment. */
interface Load {
  running: number;
  waiting: number;
}

/**
 * Lets work run a few at a time, and fewer of those that are after the same thing: what would wait for one
 * lock in Postgres waits here, where it takes no connection from others. In the order of arrival, but for
 * those whose key has its share.
 */
export class ConcurrencyLimiter {
  private running = 0;
  private readonly waiting = new Set<Waiting>();
  private readonly loads = new Map<string, Load>();

  constructor(private readonly limits: ConcurrencyLimits) {}

  /**
   * Runs `work` when it is its turn. Without a key it shares nothing with others but the limit for all.
   *
   * @param signal takes it out of those who wait. Work that runs isn't stopped.
   * @throws ContendedError where too many wait already, or its turn doesn't come in time; Error when it is
   * aborted.
   */
  async run<T>(key: string | undefined, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await this.turn(key, signal);
    try {
      return await work();
    } finally {
      this.running -= 1;
      this.count(key, 'running', -1);
      this.startNext();
    }
  }

  private turn(key: string | undefined, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.mayRun(key)) return this.take(key);
    const { maxWaiting, maxWaitingPerKey, waitMs } = this.limits;
    if (this.waiting.size >= maxWaiting || this.loadOf(key).waiting >= maxWaitingPerKey)
      throw new ContendedError();
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', leave);
        this.waiting.delete(waiting);
        this.count(key, 'waiting', -1);
      };
      const waiting: Waiting = {
        key,
        start: () => {
          done();
          this.take(key);
          resolve();
        },
      };
      const refuse = (reason: Error) => {
        done();
        reject(reason);
      };
      const leave = () => refuse(new Error('the wait for a turn was aborted', { cause: signal?.reason }));
      const timer = setTimeout(() => refuse(new ContendedError()), waitMs);
      signal?.addEventListener('abort', leave);
      this.waiting.add(waiting);
      this.count(key, 'waiting', 1);
    });
  }

  private take(key: string | undefined): undefined {
    this.running += 1;
    this.count(key, 'running', 1);
  }

  /** One that ended makes room for one. */
  private startNext(): void {
    for (const { key, start } of this.waiting) {
      if (this.mayRun(key)) return start();
    }
  }

  private mayRun(key: string | undefined): boolean {
    return this.running < this.limits.maxRunning && this.loadOf(key).running < this.limits.maxRunningPerKey;
  }

  private loadOf(key: string | undefined): Readonly<Load> {
    return (key === undefined ? undefined : this.loads.get(key)) ?? { running: 0, waiting: 0 };
  }

  private count(key: string | undefined, of: keyof Load, change: 1 | -1): void {
    if (key === undefined) return;
    const load = this.loads.get(key) ?? { running: 0, waiting: 0 };
    load[of] += change;
    if (load.running + load.waiting === 0) this.loads.delete(key);
    else this.loads.set(key, load);
  }
}
