import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import { type RetriedCall, type RetryLimits, RetryPolicy } from './retry-policy.js';
import { TimeoutError } from './timeout.js';

const LIMITS: RetryLimits = {
  attempts: 4,
  deadlineMs: 60_000,
  minBytesPerSecond: 1000,
  firstPauseMs: 1000,
  maxPauseMs: 3000,
};

/** Retryable. */
const BUSY = new Error('busy');
const REFUSED = new Error('refused');
/** Retryable after a success. */
const EXPIRED = new Error('expired');

describe('RetryPolicy', () => {
  let attempts: { at: number; signal: AbortSignal }[];
  let began: number;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    attempts = [];
    began = performance.now();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  /** Each attempt takes the next outcome. The last one repeats. */
  function run<T>(
    outcomes: (() => Promise<T>)[],
    {
      limits,
      signal,
      ...call
    }: Partial<RetriedCall<T>> & {
      limits?: Partial<RetryLimits>;
      signal?: AbortSignal;
    } = {},
  ): Promise<T> {
    const policy = new RetryPolicy({ ...LIMITS, ...limits }, (error, action) => {
      const sentence = `could not ${action}: ${(error as Error).message}`;
      return error === BUSY || error instanceof TimeoutError
        ? new StorageUnavailableError(sentence, { cause: error })
        : new StorageError(sentence, { cause: error });
    });
    const attempt = (given: AbortSignal): Promise<T> => {
      attempts.push({ at: Math.round(performance.now() - began), signal: given });
      const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0];
      if (outcome === undefined) throw new Error('no outcome');
      return outcome();
    };
    const made = policy.run({ action: 'ask', attempt, ...call }, signal ? { signal } : {});
    made.catch(() => undefined);
    return made;
  }

  const busy = (): Promise<never> => Promise.reject(BUSY);
  const never = (): Promise<never> => new Promise(() => undefined);
  const times = (): number[] => attempts.map(({ at }) => at);

  it('retries after pauses that double up to a maximum', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = run<string>([busy, busy, busy, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(await made).toBe('done');
    expect(times()).toEqual([0, 1000, 3000, 6000]);
  });

  it('shortens pauses by up to a half', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0);
    void run([busy, busy, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(times()).toEqual([0, 500, 1500]);
  });

  it('rejects as unavailable after the last attempt', async () => {
    const made = run([busy]);
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(made).rejects.toMatchObject({ message: 'could not ask: busy', cause: BUSY });
    expect(attempts).toHaveLength(LIMITS.attempts);
  });

  it('does not retry other errors', async () => {
    const made = run([() => Promise.reject(REFUSED)]);
    await expect(made).rejects.toMatchObject({ name: 'StorageError', cause: REFUSED });
    expect(attempts).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('aborts an attempt that hangs after a third of the time', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = run<string>([never, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(21_000);
    expect(await made).toBe('done');
    expect(times()).toEqual([0, 21_000]);
    expect(attempts.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  it('ends at the deadline, and says the time', async () => {
    const made = run([never], { limits: { attempts: 100 } });
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(made).rejects.toThrow('could not ask: no response within 60000 ms');
    expect(attempts).toHaveLength(3);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('has more time for bytes', async () => {
    const made = run([never], { limits: { attempts: 100 }, bytes: 60_000 });
    await jest.advanceTimersByTimeAsync(119_999);
    let isOver = false;
    void made.catch(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await expect(made).rejects.toThrow('within 120000 ms');
  });

  it('keeps the error of the last response as the cause of a timeout', async () => {
    const made = run([busy, never], { limits: { attempts: 100 } });
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toMatchObject({
      cause: { name: 'TimeoutError', cause: { message: 'could not ask: busy' } },
    });
  });

  it('does not pause when no time is left for another attempt', async () => {
    const limits = { attempts: 100, deadlineMs: 1200, firstPauseMs: 1000, maxPauseMs: 1000 };
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = run([busy], { limits });
    await jest.advanceTimersByTimeAsync(1000);
    await expect(made).rejects.toThrow('could not ask: busy');
    expect(times()).toEqual([0, 1000]);
  });

  it.each([
    ['an attempt', never],
    ['a pause', busy],
  ])("rejects with the signal's reason during %s, and starts no other attempt", async (_, outcome) => {
    const caller = new AbortController();
    const reason = new Error('aborted');
    const made = run([outcome], { signal: caller.signal });
    await jest.advanceTimersByTimeAsync(100);
    caller.abort(reason);
    await expect(made).rejects.toBe(reason);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(attempts).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('starts nothing for an aborted signal', async () => {
    const reason = new Error('aborted');
    await expect(run([busy], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(attempts).toHaveLength(0);
  });

  it('does not abort an attempt that has settled', async () => {
    const caller = new AbortController();
    await run([() => Promise.resolve('a stream')], { signal: caller.signal });
    caller.abort();
    expect(attempts[0]?.signal.aborted).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('discards a late result', async () => {
    const discarded: string[] = [];
    let finish: (value: string) => void = () => undefined;
    const late = (): Promise<string> => new Promise((resolve) => (finish = resolve));
    const made = run([late, () => Promise.resolve('in time')], {
      discard: (value) => void discarded.push(value),
    });
    await jest.advanceTimersByTimeAsync(22_000);
    expect(await made).toBe('in time');
    finish('late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(discarded).toEqual(['late']);
  });

  it('adds no listener to a signal that many calls share', async () => {
    const caller = new AbortController();
    const added = jest.spyOn(caller.signal, 'addEventListener');
    await Promise.all(Array.from({ length: 20 }, () => run([() => Promise.resolve(1)], caller)));
    expect(added).not.toHaveBeenCalled();
  });

  it('tells the translation whether an earlier call has succeeded', async () => {
    const policy = new RetryPolicy({ ...LIMITS, attempts: 1 }, (error, _, hasSucceeded) =>
      error === EXPIRED && hasSucceeded ? new StorageUnavailableError('later') : new StorageError('never'),
    );
    const fail = { action: 'ask', attempt: () => Promise.reject(EXPIRED) };
    await expect(policy.run(fail, {})).rejects.toThrow('never');
    await policy.run({ action: 'ask', attempt: () => Promise.resolve() }, {});
    await expect(policy.run(fail, {})).rejects.toThrow('later');
  });
});
