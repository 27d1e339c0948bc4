import { describe, expect, it, jest } from '@jest/globals';
import { StorageUnavailableError } from '../../storage.errors.js';
import { withinDeadline } from './deadline.js';

const CALL = { ms: 60_000, action: 'read an object' };
const never = (): Promise<never> => new Promise(() => undefined);

describe('withinDeadline', () => {
  it('gives what the work gives, and fails as it fails', async () => {
    expect(await withinDeadline({}, CALL, () => Promise.resolve(1))).toBe(1);
    const failure = new Error('of the work');
    await expect(withinDeadline({}, CALL, () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it('gives up what takes too long, and tells the work', async () => {
    let told: AbortSignal | undefined;
    const late = withinDeadline({}, { ...CALL, ms: 20 }, (signal) => {
      told = signal;
      return never();
    });
    await expect(late).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(late).rejects.toThrow('could not read an object within 0.02 s');
    expect(told?.aborted).toBe(true);
  });

  it('rejects with the reason of the caller, though the work does not listen', async () => {
    const reason = new Error('the client left');
    const giveUp = new AbortController();
    const left = withinDeadline({ signal: giveUp.signal }, CALL, never);
    giveUp.abort(reason);
    await expect(left).rejects.toBe(reason);
  });

  it('does not begin for a caller that has left', async () => {
    const reason = new Error('the client left');
    const work = jest.fn(never);
    await expect(withinDeadline({ signal: AbortSignal.abort(reason) }, CALL, work)).rejects.toBe(reason);
    expect(work).not.toHaveBeenCalled();
  });

  it('hands what comes too late to be discarded', async () => {
    const giveUp = new AbortController();
    let finish: (value: string) => void = () => undefined;
    const discarded: string[] = [];
    const left = withinDeadline(
      { signal: giveUp.signal },
      CALL,
      () => new Promise<string>((resolve) => (finish = resolve)),
      (value) => discarded.push(value),
    );
    giveUp.abort(new Error('the client left'));
    await expect(left).rejects.toThrow('the client left');
    finish('a stream');
    await new Promise((resolve) => setImmediate(resolve));
    expect(discarded).toEqual(['a stream']);
  });

  it('leaves alone what has settled', async () => {
    const giveUp = new AbortController();
    let told: AbortSignal | undefined;
    await withinDeadline({ signal: giveUp.signal }, { ...CALL, ms: 10 }, (signal) => {
      told = signal;
      return Promise.resolve();
    });
    giveUp.abort();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told?.aborted).toBe(false);
  });
});
