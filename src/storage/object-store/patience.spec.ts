import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import { Patience, type PatienceLimits, type PatientCall } from './patience.js';
import { TimeLimitError } from './time-limit.js';

const LIMITS: PatienceLimits = {
  attempts: 4,
  deadlineMs: 60_000,
  slowestBytesPerSecond: 1000,
  firstPauseMs: 1000,
  longestPauseMs: 3000,
};

/** What may pass says so. */
const BUSY = new Error('busy');
const REFUSED = new Error('refused');

describe('Patience', () => {
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

  /** Each attempt does the next thing; the last one stands for all that follow. */
  function make<T>(
    things: (() => Promise<T>)[],
    {
      limits,
      signal,
      ...call
    }: Partial<PatientCall<T>> & {
      limits?: Partial<PatienceLimits>;
      signal?: AbortSignal;
    } = {},
  ): Promise<T> {
    const patience = new Patience({ ...LIMITS, ...limits }, (error, doing) => {
      const sentence = `${doing} failed: ${(error as Error).message}`;
      return error === BUSY || error instanceof TimeLimitError
        ? new StorageUnavailableError(sentence, { cause: error })
        : new StorageError(sentence, { cause: error });
    });
    const attempt = (given: AbortSignal): Promise<T> => {
      attempts.push({ at: Math.round(performance.now() - began), signal: given });
      const thing = things.length > 1 ? things.shift() : things[0];
      if (thing === undefined) throw new Error('nothing to do');
      return thing();
    };
    const made = patience.make({ doing: 'asking', attempt, ...call }, signal ? { signal } : {});
    made.catch(() => undefined);
    return made;
  }

  const busy = (): Promise<never> => Promise.reject(BUSY);
  const never = (): Promise<never> => new Promise(() => undefined);
  const times = (): number[] => attempts.map(({ at }) => at);

  it('tries again what may pass, after pauses that double up to a bound', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = make<string>([busy, busy, busy, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(await made).toBe('done');
    expect(times()).toEqual([0, 1000, 3000, 6000]);
  });

  it('cuts pauses down by up to a half', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0);
    void make([busy, busy, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(times()).toEqual([0, 500, 1500]);
  });

  it('gives up after so many attempts, as unavailable', async () => {
    const made = make([busy]);
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(made).rejects.toMatchObject({ message: 'asking failed: busy', cause: BUSY });
    expect(attempts).toHaveLength(LIMITS.attempts);
  });

  it('does not try again what no repetition helps against', async () => {
    const made = make([() => Promise.reject(REFUSED)]);
    await expect(made).rejects.toMatchObject({ name: 'StorageError', cause: REFUSED });
    expect(attempts).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('gives an attempt that hangs a third of the time, and tells it', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = make<string>([never, () => Promise.resolve('done')]);
    await jest.advanceTimersByTimeAsync(21_000);
    expect(await made).toBe('done');
    expect(times()).toEqual([0, 21_000]);
    expect(attempts.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  it('ends at the deadline, and says how long it was', async () => {
    const made = make([never], { limits: { attempts: 100 } });
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(made).rejects.toThrow('asking failed: no answer within 60000 ms');
    expect(attempts).toHaveLength(3);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('has more time for bytes', async () => {
    const made = make([never], { limits: { attempts: 100 }, bytes: 60_000 });
    await jest.advanceTimersByTimeAsync(119_999);
    let isOver = false;
    void made.catch(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await expect(made).rejects.toThrow('within 120000 ms');
  });

  it('keeps what was answered before the silence', async () => {
    const made = make([busy, never], { limits: { attempts: 100 } });
    await jest.advanceTimersByTimeAsync(60_000);
    await expect(made).rejects.toMatchObject({
      cause: { name: 'TimeLimitError', cause: { message: 'asking failed: busy' } },
    });
  });

  it('does not wait where no time is left for another attempt', async () => {
    const limits = { attempts: 100, deadlineMs: 1200, firstPauseMs: 1000, longestPauseMs: 1000 };
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const made = make([busy], { limits });
    await jest.advanceTimersByTimeAsync(1000);
    await expect(made).rejects.toThrow('asking failed: busy');
    expect(times()).toEqual([0, 1000]);
  });

  it.each([
    ['an attempt', never],
    ['a pause', busy],
  ])('rejects with the reason of the signal in %s, and begins nothing after it', async (_, thing) => {
    const giveUp = new AbortController();
    const reason = new Error('left');
    const made = make([thing], { signal: giveUp.signal });
    await jest.advanceTimersByTimeAsync(100);
    giveUp.abort(reason);
    await expect(made).rejects.toBe(reason);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(attempts).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('begins nothing for a caller that has left', async () => {
    const reason = new Error('left');
    await expect(make([busy], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(attempts).toHaveLength(0);
  });

  it('leaves alone what has settled', async () => {
    const giveUp = new AbortController();
    await make([() => Promise.resolve('a stream')], { signal: giveUp.signal });
    giveUp.abort();
    expect(attempts[0]?.signal.aborted).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('discards what comes too late', async () => {
    const discarded: string[] = [];
    let finish: (value: string) => void = () => undefined;
    const late = (): Promise<string> => new Promise((resolve) => (finish = resolve));
    const made = make([late, () => Promise.resolve('in time')], {
      discard: (value) => void discarded.push(value),
    });
    await jest.advanceTimersByTimeAsync(22_000);
    expect(await made).toBe('in time');
    finish('late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(discarded).toEqual(['late']);
  });

  it('adds no listener to a signal that many calls share', async () => {
    const giveUp = new AbortController();
    const added = jest.spyOn(giveUp.signal, 'addEventListener');
    await Promise.all(Array.from({ length: 20 }, () => make([() => Promise.resolve(1)], giveUp)));
    expect(added).not.toHaveBeenCalled();
  });
});
