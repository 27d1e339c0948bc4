import type { IoOptions } from '../../storage-driver.js';
import { StorageUnavailableError } from '../../storage.errors.js';

/** How long a call may take, and what it is called when that was too long. */
export interface Deadline {
  readonly ms: number;
  readonly action: string;
}

/**
 * Does `work`, and gives it up when the caller does (then it rejects with the signal's reason) or when the time is over
 * (then with {@link StorageUnavailableError}). It doesn't wait for what was given up, as not all of an SDK hears its
 * signal (fetching credentials doesn't); what comes too late is handed to `discard`. Neither reaches `work` once it has
 * settled: a stream that it gave is the caller's.
 */
export async function withinDeadline<T>(
  { signal }: IoOptions,
  deadline: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
  discard: (late: T) => void = () => undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const giveUp = new AbortController();
  return new Promise<T>((resolve, reject) => {
    let pending = true;
    const fail: (error: unknown) => void = reject;
    const settle = (how: () => void): void => {
      pending = false;
      clearTimeout(timer);
      signal?.removeEventListener('abort', left);
      how();
    };
    const end = (reason: Error): void => {
      settle(() => reject(reason));
      giveUp.abort(reason);
    };
    const left = (): void => end(signal?.reason as Error);
    const timer = setTimeout(
      () => end(new StorageUnavailableError(`could not ${deadline.action} within ${deadline.ms / 1000} s`)),
      deadline.ms,
    );
    signal?.addEventListener('abort', left, { once: true });
    work(giveUp.signal).then(
      (value) => (pending ? settle(() => resolve(value)) : discard(value)),
      (error: unknown) => {
        if (pending) settle(() => fail(error));
      },
    );
  });
}
