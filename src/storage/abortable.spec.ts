import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { abortable } from './abortable.js';

const REASON = new Error('given up');

describe('abortable', () => {
  it('does not begin when the signal is aborted already', async () => {
    const work = jest.fn(() => Promise.resolve(1));
    await expect(abortable({ signal: AbortSignal.abort(REASON) }, work)).rejects.toBe(REASON);
    expect(work).not.toHaveBeenCalled();
  });

  it('rejects at once, and discards what comes too late', async () => {
    const giveUp = new AbortController();
    const discarded: string[] = [];
    const late = deferred<string>();
    const pending = abortable(
      { signal: giveUp.signal },
      () => late.promise,
      (value) => void discarded.push(value),
    );
    giveUp.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    expect(discarded).toEqual([]);
    late.resolve('a handle');
    await setImmediate();
    expect(discarded).toEqual(['a handle']);
  });

  it('never answers a value that it discards', async () => {
    const giveUp = new AbortController();
    const discard = jest.fn<(late: string) => void>();
    const late = deferred<string>();
    const pending = abortable({ signal: giveUp.signal }, () => late.promise, discard);
    late.resolve('a handle');
    giveUp.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    await setImmediate();
    expect(discard).toHaveBeenCalledTimes(1);
  });

  it('swallows what fails too late, and passes on what fails in time', async () => {
    const giveUp = new AbortController();
    const late = deferred<string>();
    const pending = abortable({ signal: giveUp.signal }, () => late.promise);
    giveUp.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    late.reject(new Error('too late'));
    await setImmediate();
    const { signal } = new AbortController();
    await expect(abortable({ signal }, () => Promise.reject(REASON))).rejects.toBe(REASON);
    await expect(abortable({ signal }, () => Promise.resolve(5))).resolves.toBe(5);
  });
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let settle: { resolve: (value: T) => void; reject: (error: Error) => void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle! };
}
