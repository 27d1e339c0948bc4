import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { abortable, completed } from './abortable.js';

const REASON = new Error('aborted');

describe('abortable', () => {
  it('does not start if the signal is already aborted', async () => {
    const work = jest.fn(() => Promise.resolve(1));
    await expect(abortable({ signal: AbortSignal.abort(REASON) }, work)).rejects.toBe(REASON);
    expect(work).not.toHaveBeenCalled();
  });

  it('rejects at once, and discards a late value', async () => {
    const abort = new AbortController();
    const discarded: string[] = [];
    const late = deferred<string>();
    const pending = abortable(
      { signal: abort.signal },
      () => late.promise,
      (value) => void discarded.push(value),
    );
    abort.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    expect(discarded).toEqual([]);
    late.resolve('a handle');
    await setImmediate();
    expect(discarded).toEqual(['a handle']);
  });

  it('never returns a value that it discards', async () => {
    const abort = new AbortController();
    const discard = jest.fn<(late: string) => void>();
    const late = deferred<string>();
    const pending = abortable({ signal: abort.signal }, () => late.promise, discard);
    late.resolve('a handle');
    abort.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    await setImmediate();
    expect(discard).toHaveBeenCalledTimes(1);
  });

  it('ignores late errors, and passes earlier ones on', async () => {
    const abort = new AbortController();
    const late = deferred<string>();
    const pending = abortable({ signal: abort.signal }, () => late.promise);
    abort.abort(REASON);
    await expect(pending).rejects.toBe(REASON);
    late.reject(new Error('too late'));
    await setImmediate();
    const { signal } = new AbortController();
    await expect(abortable({ signal }, () => Promise.reject(REASON))).rejects.toBe(REASON);
    await expect(abortable({ signal }, () => Promise.resolve(5))).resolves.toBe(5);
  });
});

describe('completed', () => {
  it('does not start if the signal is already aborted', async () => {
    const work = jest.fn(() => Promise.resolve(1));
    const discard = jest.fn<() => void>();
    await expect(completed({ signal: AbortSignal.abort(REASON) }, work, discard)).rejects.toBe(REASON);
    expect(work).not.toHaveBeenCalled();
    expect(discard).not.toHaveBeenCalled();
  });

  it('rejects only after the work is done and its value discarded', async () => {
    const abort = new AbortController();
    const events: string[] = [];
    const late = deferred<string>();
    const discarding = deferred<undefined>();
    const pending = completed(
      { signal: abort.signal },
      () => late.promise,
      async (value) => {
        events.push(`discards ${value}`);
        await discarding.promise;
      },
    ).catch((error: unknown) => events.push(error === REASON ? 'rejected' : 'failed'));
    abort.abort(REASON);
    await setImmediate();
    expect(events).toEqual([]);
    late.resolve('a handle');
    await setImmediate();
    expect(events).toEqual(['discards a handle']);
    discarding.resolve(undefined);
    await pending;
    expect(events).toEqual(['discards a handle', 'rejected']);
  });

  it("rejects with the reason instead of the work's error", async () => {
    const abort = new AbortController();
    const late = deferred<string>();
    const pending = completed(
      { signal: abort.signal },
      () => late.promise,
      () => undefined,
    );
    abort.abort(REASON);
    late.reject(new Error('EIO'));
    await expect(pending).rejects.toBe(REASON);
  });

  it("returns the work's outcome without an abort", async () => {
    const discard = jest.fn<() => void>();
    const { signal } = new AbortController();
    expect(await completed({ signal }, () => Promise.resolve(1), discard)).toBe(1);
    expect(await completed({}, () => Promise.resolve(2), discard)).toBe(2);
    const failure = new Error('EIO');
    await expect(completed({ signal }, () => Promise.reject(failure), discard)).rejects.toBe(failure);
    expect(discard).not.toHaveBeenCalled();
  });
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let settle: { resolve: (value: T) => void; reject: (error: Error) => void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle! };
}
