import { describe, expect, it } from '@jest/globals';
import { BoundedProbe } from './bounded-probe.js';

describe('BoundedProbe', () => {
  it('returns what the probe found', async () => {
    const found = { found: 'a result' };
    await expect(new BoundedProbe(() => Promise.resolve('a result'), 1_000).outcome()).resolves.toEqual(
      found,
    );
  });

  it('returns the error of a failed probe', async () => {
    const reason = new Error('gone');
    const probe = new BoundedProbe(() => Promise.reject(reason), 1_000);
    await expect(probe.outcome()).resolves.toEqual({ failure: reason });
  });

  it('times out on a hanging probe, and starts no second one', async () => {
    let started = 0;
    let settle = (): void => undefined;
    const hanging = () => {
      started += 1;
      return new Promise<void>((resolve) => (settle = resolve));
    };
    const probe = new BoundedProbe(hanging, 10);
    const outcomes = await Promise.all([probe.outcome(), probe.outcome()]);
    outcomes.push(await probe.outcome());
    expect(outcomes).toEqual(Array(3).fill({ failure: new Error('no result within 10 ms') }));
    expect(started).toBe(1);

    settle();
    await new Promise(setImmediate);
    const next = probe.outcome();
    expect(started).toBe(2);
    settle();
    await expect(next).resolves.toEqual({ found: undefined });
  });

  it('causes no unhandled rejection if the probe fails after the timeout', async () => {
    let fail = (_error: Error): void => undefined;
    const probe = new BoundedProbe(() => new Promise((_, reject) => (fail = reject)), 5);
    expect(await probe.outcome()).toHaveProperty('failure');
    fail(new Error('too late'));
    await new Promise(setImmediate);
  });
});
