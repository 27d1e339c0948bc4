import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type fc from 'fast-check';
import type { Around } from './interposed.js';

/** One of the requests that are under way at once. */
class Racer {
  /** What it waits for, if it doesn't run. */
  parkedAt: symbol | undefined;
  isDone = false;

  constructor(readonly name: string) {}
}

/** A racer that neither runs nor comes to its next call may wait for another one, in the database. */
const BLOCKED_AFTER_MS = 500;

/**
 * Requests that take turns: each stops before every call that others can notice, and the scheduler says who goes on. Between two choices nobody runs, so
 * what is looked at then stands still, and the same choices lead to the same run.
 */
export class Race {
  private readonly current = new AsyncLocalStorage<Racer>();
  private readonly racers: Racer[] = [];

  constructor(private readonly scheduler: fc.Scheduler) {}

  /** For replicas: stops whoever calls. Calls of nobody in the race pass. */
  readonly around: Around = async (call, work) => {
    await this.stop(call);
    return work();
  };

  /** Stops the caller until it is chosen. Answers whether it has gone on for another reason meanwhile. */
  async stop(label: string): Promise<void> {
    const racer = this.current.getStore();
    if (racer === undefined) return;
    const here = (racer.parkedAt = Symbol(label));
    await this.scheduler.schedule(Promise.resolve(), `${racer.name}: ${label}`);
    if (racer.parkedAt === here) racer.parkedAt = undefined;
  }

  /** Begins a request, as far as its first stop. */
  async enter<T>(name: string, work: () => Promise<T>): Promise<{ readonly outcome: Promise<T> }> {
    const racer = new Racer(name);
    this.racers.push(racer);
    const outcome = this.current.run(racer, async () => {
      try {
        await this.stop('begin');
        return await work();
      } finally {
        racer.isDone = true;
      }
    });
    outcome.catch(() => undefined);
    await this.standstill();
    // In an object: the caller is not to wait for it.
    return { outcome };
  }

  /** Lets them run to their ends, and looks around after every step. */
  async run(look: () => Promise<void>): Promise<void> {
    while (this.racers.some(({ isDone }) => !isDone)) {
      if (this.scheduler.count() > 0) await this.scheduler.waitNext(1);
      if (await this.standstill()) await look();
    }
    // What was asked of a body that nobody reads any more.
    while (this.scheduler.count() > 0) await this.scheduler.waitNext(1);
  }

  /** Settles when nobody runs. Answers false when somebody may. */
  private async standstill(): Promise<boolean> {
    const giveUpAt = performance.now() + BLOCKED_AFTER_MS;
    while (this.racers.some(({ isDone, parkedAt }) => !isDone && parkedAt === undefined)) {
      if (performance.now() > giveUpAt) return false;
      await turn();
    }
    return true;
  }
}
