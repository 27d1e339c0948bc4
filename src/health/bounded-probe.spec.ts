import { describe, expect, it } from '@jest/globals';
import { BoundedProbe } from './bounded-probe.js';

describe('BoundedProbe', () => {
  it('returns undefined if the probe succeeds', async () => {
    await expect(new BoundedProbe(() => Promise.resolve(), 1_000).failure()).resolves.toBeUndefined();
  });

  it('returns the error of a failed probe', async () => {
    const reason = new Error('gone');
    await expect(new BoundedProbe(() => Promise.reject(reason), 1_000).failure()).resolves.toBe(reason);
  });

  it('times out on a hanging probe, and starts no second one', async () => {
    let started = 0;
    let settle = (): void => undefined;
    const hanging = () => {
      started += 1;
      return new Promise<void>((resolve) => (settle = resolve));
    };
    const probe = new BoundedProbe(hanging, 10);
    const failures = await Promise.all([probe.failure(), probe.failure()]);
    failures.push(await probe.failure());
    expect(failures.map((failure) => failure?.message)).toEqual(Array(3).fill('no result within 10 ms'));
    expect(started).toBe(1);

    settle();
    await new Promise(setImmediate);
    const next = probe.failure();
    expect(started).toBe(2);
    settle();
    await expect(next).resolves.toBeUndefined();
  });

  it('causes no unhandled rejection if the probe fails after the timeout', async () => {
    let fail = (_error: Error): void => undefined;
    const probe = new BoundedProbe(() => new Promise((_, reject) => (fail = reject)), 5);
    expect(await probe.failure()).toBeInstanceOf(Error);
    fail(new Error('too late'));
    await new Promise(setImmediate);
  });
});
