import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type ConcurrencyLimits, ConcurrencyLimiter } from './concurrency-limiter.js';
import { ContendedError } from './errors/contended.error.js';

const LIMITS = { maxRunning: 3, maxRunningPerKey: 2, maxWaiting: 5, maxWaitingPerKey: 3, waitMs: 60_000 };

/** Tasks that run until `end` is called. */
class Tasks {
  readonly started: string[] = [];
  readonly results: Promise<unknown>[] = [];
  private readonly ends = new Map<string, () => void>();
  private readonly limiter: ConcurrencyLimiter;

  constructor(limits: Partial<ConcurrencyLimits> = {}) {
    this.limiter = new ConcurrencyLimiter({ ...LIMITS, ...limits });
  }

  /** Resolves to the name when the task ends, or to the error. */
  add(name: string, key?: string | readonly string[], signal?: AbortSignal): Promise<unknown> {
    const task = () => {
      this.started.push(name);
      return new Promise<string>((resolve) => this.ends.set(name, () => resolve(name)));
    };
    const result = this.limiter
      .run(key === undefined ? [] : [key].flat(), task, signal)
      .catch((error: unknown) => error);
    this.results.push(result);
    return result;
  }

  async end(...names: string[]): Promise<void> {
    for (const name of names) this.ends.get(name)?.();
    await delay(0);
  }
}

describe('ConcurrencyLimiter', () => {
  it('runs up to the maximum number of tasks, first in, first out', async () => {
    const tasks = new Tasks();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void tasks.add(name);
    await delay(0);
    expect(tasks.started).toEqual(['a', 'b', 'c']);
    await tasks.end('b');
    expect(tasks.started).toEqual(['a', 'b', 'c', 'd']);
    await tasks.end('a', 'c', 'd', 'e');
    await tasks.end('e');
    expect(await Promise.all(tasks.results)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('runs fewer tasks of one key, and passes over a key at its limit', async () => {
    const tasks = new Tasks();
    for (const name of ['a1', 'a2', 'a3']) void tasks.add(name, 'a');
    void tasks.add('b1', 'b');
    void tasks.add('b2', 'b');
    await delay(0);
    expect(tasks.started).toEqual(['a1', 'a2', 'b1']);
    await tasks.end('b1');
    expect(tasks.started).toEqual(['a1', 'a2', 'b1', 'b2']);
    await tasks.end('a1');
    expect(tasks.started.at(-1)).toBe('a3');
  });

  it('rejects tasks beyond the limits at once, and runs later ones', async () => {
    const tasks = new Tasks();
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void tasks.add(name, 'a');
    expect(await tasks.add('a6', 'a')).toBeInstanceOf(ContendedError);
    for (const name of ['b1', 'b2', 'b3']) void tasks.add(name, 'b');
    expect(await tasks.add('c1', 'c')).toBeInstanceOf(ContendedError);
    for (const name of ['a1', 'a2', 'b1', 'a3', 'a4', 'a5', 'b2', 'b3']) await tasks.end(name);
    expect(await Promise.race([tasks.add('c2', 'c'), delay(0, 'runs')])).toBe('runs');
    expect(tasks.started).toContain('c2');
  });

  it('rejects a task that waits too long', async () => {
    const tasks = new Tasks({ waitMs: 10 });
    for (const name of ['a1', 'a2']) void tasks.add(name, 'a');
    expect(await tasks.add('a3', 'a')).toBeInstanceOf(ContendedError);
    await tasks.end('a1', 'a2');
    void tasks.add('a4', 'a');
    await delay(0);
    expect(tasks.started).toEqual(['a1', 'a2', 'a4']);
  });

  it('aborts the wait of a task, but not a running task', async () => {
    const tasks = new Tasks({ maxWaitingPerKey: 1 });
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = tasks.add('a1', 'a', running.signal);
    void tasks.add('a2', 'a');
    const third = tasks.add('a3', 'a', waiting.signal);
    await delay(0);
    running.abort();
    waiting.abort();
    expect(await third).toMatchObject({ message: 'aborted while waiting to run' });
    // Its place in the queue is free.
    void tasks.add('a4', 'a');
    await delay(0);
    await tasks.end('a1', 'a2', 'a4');
    expect(await first).toBe('a1');
    expect(tasks.started).toEqual(['a1', 'a2', 'a4']);
    expect(await tasks.add('a5', 'a', waiting.signal)).toMatchObject({ name: 'AbortError' });
  });

  it('counts a task towards each of its keys', async () => {
    const tasks = new Tasks({ maxRunning: 3, maxRunningPerKey: 1 });
    void tasks.add('both', ['a', 'b']);
    void tasks.add('a', 'a');
    void tasks.add('b', 'b');
    void tasks.add('c', 'c');
    await delay(0);
    expect(tasks.started).toEqual(['both', 'c']);
    await tasks.end('both');
    expect(tasks.started).toEqual(['both', 'c', 'a', 'b']);
    await tasks.end('a', 'b', 'c');
  });

  it('starts the next task after one failed', async () => {
    const limiter = new ConcurrencyLimiter({ ...LIMITS, maxRunning: 1 });
    await expect(limiter.run([], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await limiter.run([], () => Promise.resolve('next'))).toBe('next');
  });
});
