import { describe, expect, it, jest } from '@jest/globals';
import { TimeLimitError, withinTimeLimit } from './time-limit.js';

const LONG_MS = 60_000;
const never = (): Promise<never> => new Promise(() => undefined);

describe('withinTimeLimit', () => {
  it('gives what the work gives, and fails as it fails', async () => {
    expect(await withinTimeLimit({}, LONG_MS, () => Promise.resolve(1))).toBe(1);
    const failure = new Error('of the work');
    await expect(withinTimeLimit({}, LONG_MS, () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it('gives up what takes too long, and tells the work', async () => {
    let told: AbortSignal | undefined;
    const late = withinTimeLimit({}, 20, (signal) => {
      told = signal;
      return never();
    });
    await expect(late).rejects.toBeInstanceOf(TimeLimitError);
    await expect(late).rejects.toMatchObject({ ms: 20, message: 'no answer within 20 ms' });
    expect(told?.aborted).toBe(true);
  });

  it('rejects with the reason of the caller, though the work does not listen', async () => {
    const reason = new Error('the client left');
    const giveUp = new AbortController();
    const left = withinTimeLimit({ signal: giveUp.signal }, LONG_MS, never);
    giveUp.abort(reason);
    await expect(left).rejects.toBe(reason);
  });

  it('does not begin for a caller that has left', async () => {
    const reason = new Error('the client left');
    const work = jest.fn(never);
    await expect(withinTimeLimit({ signal: AbortSignal.abort(reason) }, LONG_MS, work)).rejects.toBe(reason);
    expect(work).not.toHaveBeenCalled();
  });

  it('hands what comes too late to be discarded', async () => {
    const giveUp = new AbortController();
    let finish: (value: string) => void = () => undefined;
    const discarded: string[] = [];
    const left = withinTimeLimit(
      { signal: giveUp.signal },
      LONG_MS,
      () => new Promise<string>((resolve) => (finish = resolve)),
      (value) => void discarded.push(value),
    );
    giveUp.abort(new Error('the client left'));
    await expect(left).rejects.toThrow('the client left');
    finish('a stream');
    await new Promise((resolve) => setImmediate(resolve));
    expect(discarded).toEqual(['a stream']);
  });

  it('leaves alone what has settled', async () => {
    jest.useFakeTimers();
    try {
      const giveUp = new AbortController();
      let told: AbortSignal | undefined;
      await withinTimeLimit({ signal: giveUp.signal }, 10, (signal) => {
        told = signal;
        return Promise.resolve();
      });
      giveUp.abort();
      expect(jest.getTimerCount()).toBe(0);
      expect(told?.aborted).toBe(false);
    } finally {
      jest.useRealTimers();
    }
  });
});
