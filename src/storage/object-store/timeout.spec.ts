import { describe, expect, it, jest } from '@jest/globals';
import { TimeoutError, withTimeout } from './timeout.js';

const LONG_MS = 60_000;
const never = (): Promise<never> => new Promise(() => undefined);

describe('withTimeout', () => {
  it('settles as the work settles', async () => {
    expect(await withTimeout({}, LONG_MS, () => Promise.resolve(1))).toBe(1);
    const failure = new Error('of the work');
    await expect(withTimeout({}, LONG_MS, () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it('rejects after the timeout, and aborts the work', async () => {
    let workSignal: AbortSignal | undefined;
    const late = withTimeout({}, 20, (signal) => {
      workSignal = signal;
      return never();
    });
    await expect(late).rejects.toBeInstanceOf(TimeoutError);
    await expect(late).rejects.toMatchObject({ ms: 20, message: 'no response within 20 ms' });
    expect(workSignal?.aborted).toBe(true);
  });

  it("rejects with the caller's reason, even if the work ignores its signal", async () => {
    const reason = new Error('the client disconnected');
    const caller = new AbortController();
    const aborted = withTimeout({ signal: caller.signal }, LONG_MS, never);
    caller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
  });

  it('does not start work for an aborted signal', async () => {
    const reason = new Error('the client disconnected');
    const work = jest.fn(never);
    await expect(withTimeout({ signal: AbortSignal.abort(reason) }, LONG_MS, work)).rejects.toBe(reason);
    expect(work).not.toHaveBeenCalled();
  });

  it('discards a late result', async () => {
    const caller = new AbortController();
    let finish: (value: string) => void = () => undefined;
    const discarded: string[] = [];
    const aborted = withTimeout(
      { signal: caller.signal },
      LONG_MS,
      () => new Promise<string>((resolve) => (finish = resolve)),
      (value) => void discarded.push(value),
    );
    caller.abort(new Error('the client disconnected'));
    await expect(aborted).rejects.toThrow('the client disconnected');
    finish('a stream');
    await new Promise((resolve) => setImmediate(resolve));
    expect(discarded).toEqual(['a stream']);
  });

  it('does not abort work that has settled', async () => {
    jest.useFakeTimers();
    try {
      const caller = new AbortController();
      let workSignal: AbortSignal | undefined;
      await withTimeout({ signal: caller.signal }, 10, (signal) => {
        workSignal = signal;
        return Promise.resolve();
      });
      caller.abort();
      expect(jest.getTimerCount()).toBe(0);
      expect(workSignal?.aborted).toBe(false);
    } finally {
      jest.useRealTimers();
    }
  });
});
