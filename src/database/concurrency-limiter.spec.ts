import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { ContendedError } from './errors/contended.error.js';
import { type ConcurrencyLimits, ConcurrencyLimiter } from './concurrency-limiter.js';

const LIMITS = { maxRunning: 3, maxRunningPerKey: 2, maxWaiting: 5, maxWaitingPerKey: 3, waitMs: 60_000 };

/** Work that runs until it is told to end, and says when it began. */
class Workshop {
  readonly begun: string[] = [];
  readonly ended: Promise<unknown>[] = [];
  private readonly ends = new Map<string, () => void>();
  private readonly turns: ConcurrencyLimiter;

  constructor(limits: Partial<ConcurrencyLimits> = {}) {
    this.turns = new ConcurrencyLimiter({ ...LIMITS, ...limits });
  }

  add(name: string, key?: string, signal?: AbortSignal): Promise<unknown> {
    const begin = () => {
      this.begun.push(name);
      return new Promise<string>((resolve) => this.ends.set(name, () => resolve(name)));
    };
    const work = this.turns.run(key, begin, signal);
    const outcome = work.catch((error: unknown) => error);
    this.ended.push(outcome);
    return outcome;
  }

  async end(...names: string[]): Promise<void> {
    for (const name of names) this.ends.get(name)?.();
    await delay(0);
  }
}

describe('ConcurrencyLimiter', () => {
  it('lets so many run at a time, in the order of arrival', async () => {
    const workshop = new Workshop();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void workshop.add(name);
    await delay(0);
    expect(workshop.begun).toEqual(['a', 'b', 'c']);
    await workshop.end('b');
    expect(workshop.begun).toEqual(['a', 'b', 'c', 'd']);
    await workshop.end('a', 'c', 'd', 'e');
    await workshop.end('e');
    expect(await Promise.all(workshop.ended)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('lets fewer of one key run, and others pass', async () => {
    const workshop = new Workshop();
    for (const name of ['a1', 'a2', 'a3']) void workshop.add(name, 'a');
    void workshop.add('b1', 'b');
    void workshop.add('b2', 'b');
    await delay(0);
    expect(workshop.begun).toEqual(['a1', 'a2', 'b1']);
    await workshop.end('b1');
    expect(workshop.begun).toEqual(['a1', 'a2', 'b1', 'b2']);
    await workshop.end('a1');
    expect(workshop.begun.at(-1)).toBe('a3');
  });

  it('refuses those beyond the limits at once, and serves later ones', async () => {
    const workshop = new Workshop();
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void workshop.add(name, 'a');
    expect(await workshop.add('a6', 'a')).toBeInstanceOf(ContendedError);
    for (const name of ['b1', 'b2', 'b3']) void workshop.add(name, 'b');
    expect(await workshop.add('c1', 'c')).toBeInstanceOf(ContendedError);
    for (const name of ['a1', 'a2', 'b1', 'a3', 'a4', 'a5', 'b2', 'b3']) await workshop.end(name);
    expect(await Promise.race([workshop.add('c2', 'c'), delay(0, 'runs')])).toBe('runs');
    expect(workshop.begun).toContain('c2');
  });

  it('refuses one whose turn does not come in time', async () => {
    const workshop = new Workshop({ waitMs: 10 });
    for (const name of ['a1', 'a2']) void workshop.add(name, 'a');
    expect(await workshop.add('a3', 'a')).toBeInstanceOf(ContendedError);
    await workshop.end('a1', 'a2');
    void workshop.add('a4', 'a');
    await delay(0);
    expect(workshop.begun).toEqual(['a1', 'a2', 'a4']);
  });

  it('lets go of one that is aborted while it waits, and of none that runs', async () => {
    const workshop = new Workshop({ maxWaitingPerKey: 1 });
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = workshop.add('a1', 'a', running.signal);
    void workshop.add('a2', 'a');
    const third = workshop.add('a3', 'a', waiting.signal);
    await delay(0);
    running.abort();
    waiting.abort();
    expect(await third).toMatchObject({ message: 'the wait for a turn was aborted' });
    // Its place is free.
    void workshop.add('a4', 'a');
    await delay(0);
    await workshop.end('a1', 'a2', 'a4');
    expect(await first).toBe('a1');
    expect(workshop.begun).toEqual(['a1', 'a2', 'a4']);
    expect(await workshop.add('a5', 'a', waiting.signal)).toMatchObject({ name: 'AbortError' });
  });

  it('makes room where work fails', async () => {
    const turns = new ConcurrencyLimiter({ ...LIMITS, maxRunning: 1 });
    await expect(turns.run(undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await turns.run(undefined, () => Promise.resolve('next'))).toBe('next');
  });
});
