import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type fc from 'fast-check';
import type { Around } from './interposed.js';

/** One of several concurrent requests. */
class Racer {
  /** The call at which it waits for the scheduler. */
  parkedAt: symbol | undefined;
  isDone = false;

  constructor(readonly name: string) {}
}

/** A racer that takes this long to reach its next call probably waits for a lock that another racer holds. */
const BLOCKED_AFTER_MS = 100;

/**
 * Requests that take turns. Each stops before every call that others can notice, and the scheduler chooses
 * which one continues. No request runs between two choices, so the same choices lead to the same run.
 */
export class Race {
  private readonly current = new AsyncLocalStorage<Racer>();
  private readonly racers: Racer[] = [];
  private changed: () => void = () => undefined;

  constructor(private readonly scheduler: fc.Scheduler) {}

  /** For replicas: stops each call of a racer. Other calls pass. */
  readonly around: Around = async (call, work) => {
    await this.stop(call);
    return work();
  };

  /** Stops the calling racer until the scheduler chooses it. */
  async stop(label: string): Promise<void> {
    const racer = this.current.getStore();
    if (racer === undefined) return;
    const here = (racer.parkedAt = Symbol(label));
    this.changed();
    await this.scheduler.schedule(Promise.resolve(), `${racer.name}: ${label}`);
    if (racer.parkedAt === here) racer.parkedAt = undefined;
  }

  /** Starts a request and lets it run to its first stop. */
  async enter<T>(name: string, work: () => Promise<T>): Promise<{ readonly outcome: Promise<T> }> {
    const racer = new Racer(name);
    this.racers.push(racer);
    const outcome = this.current.run(racer, async () => {
      try {
        await this.stop('begin');
        return await work();
      } finally {
        racer.isDone = true;
        this.changed();
      }
    });
    outcome.catch(() => undefined);
    await this.allParked();
    // Wrapped in an object, so that `await enter()` does not wait for the outcome.
    return { outcome };
  }

  /** Runs all requests to their ends, and calls `look` after each step. */
  async run(look: () => Promise<void>): Promise<void> {
    while (this.racers.some(({ isDone }) => !isDone)) {
      if (this.scheduler.count() > 0) await this.scheduler.waitNext(1);
      if (await this.allParked()) await look();
    }
    // Reads of a body whose request has ended.
    while (this.scheduler.count() > 0) await this.scheduler.waitNext(1);
  }

  /** Waits until no request runs. Returns false if one may still run after `BLOCKED_AFTER_MS`. */
  private async allParked(): Promise<boolean> {
    // What was just chosen continues in this turn.
    await turn();
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      this.changed();
    }, BLOCKED_AFTER_MS);
    while (this.isAnyRunning && !late.signal.aborted) {
      await new Promise<void>((resolve) => (this.changed = resolve));
    }
    clearTimeout(timer);
    return !this.isAnyRunning;
  }

  private get isAnyRunning(): boolean {
    return this.racers.some(({ isDone, parkedAt }) => !isDone && parkedAt === undefined);
  }
}
