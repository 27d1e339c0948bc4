import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClientGoneError, NoReplicaError } from '../replicas/replica-failure.js';
import { Patience } from './patience.js';

describe('Patience', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** Lets time pass, and says whether the patience is over then. */
  const isOverAfter = (patience: Patience, seconds: number) => {
    jest.advanceTimersByTime(seconds * 1000);
    return patience.signal.aborted;
  };

  it('ends when there was no progress for its time', () => {
    const patience = new Patience(10);
    expect([isOverAfter(patience, 9.999), isOverAfter(patience, 0.001)]).toEqual([false, true]);
    expect(patience.signal.reason).toEqual(new NoReplicaError(10));
  });

  it('has all of its time again after progress', () => {
    const patience = new Patience(10);
    jest.advanceTimersByTime(9_000);
    patience.progressed();
    expect([isOverAfter(patience, 9.999), isOverAfter(patience, 0.001)]).toEqual([false, true]);
  });

  it('does not run while it rests, and begins anew then', () => {
    const patience = new Patience(10);
    jest.advanceTimersByTime(9_000);
    patience.rest();
    patience.progressed();
    expect(isOverAfter(patience, 1_000)).toBe(false);
    patience.run();
    jest.advanceTimersByTime(5_000);
    // Already running: it is not given more time.
    patience.run();
    expect([isOverAfter(patience, 4.999), isOverAfter(patience, 0.001)]).toEqual([false, true]);
  });

  it('runs after a failure, which is the cause of its end', async () => {
    const patience = new Patience(10);
    patience.rest();
    await patience.failed({ status: 503 });
    expect(isOverAfter(patience, 10)).toBe(true);
    expect(patience.signal.reason).toMatchObject({
      message: 'no replica answered for 10 s',
      cause: new Error('a replica answered 503'),
    });
    await expect(patience.failed(new Error('late'))).rejects.toBe(patience.signal.reason);
  });

  it('counts the failures since the last progress, and waits longer each time', async () => {
    jest.useRealTimers();
    const patience = new Patience(10);
    const startedAt = performance.now();
    for (let n = 0; n < 3; n += 1) await patience.failed(new Error('failed'));
    expect(patience.failedAttempts).toBe(3);
    // No pause after the first, then 20 and 40 ms. Timers may be early by a little.
    expect(performance.now() - startedAt).toBeGreaterThan(50);
    patience.progressed();
    expect(patience.failedAttempts).toBe(0);
    patience.end();
  });

  it('ends when the client disconnects, also during a pause', async () => {
    const response = new PassThrough();
    const patience = new Patience(10, response);
    await patience.failed(new Error('first'));
    const pause = patience.failed(new Error('second'));
    response.destroy();
    await expect(pause).rejects.toThrow(ClientGoneError);
    expect(patience.signal.reason).toBeInstanceOf(ClientGoneError);
    expect(new Patience(10, response).signal.aborted).toBe(true);
  });

  it('leaves no timer when the request has ended', () => {
    const patience = new Patience(10);
    patience.end();
    expect([patience.signal.aborted, jest.getTimerCount()]).toEqual([true, 0]);
  });
});
