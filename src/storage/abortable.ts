import type { IoOptions } from './storage-driver.js';

/**
 * Runs `work` unless the signal is aborted, and rejects with the signal's reason as soon as it aborts. For
 * I/O that can't be interrupted: it continues in the background, and a value that it returns after the abort
 * goes to `discard`, which closes it.
 */
export async function abortable<T>(
  { signal }: IoOptions,
  work: () => Promise<T>,
  discard: (late: T) => Promise<void> | void = () => undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const pending = work();
  if (signal === undefined) return pending;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (value: T): Promise<void> | void => (signal.aborted ? discard(value) : resolve(value));
    // After an abort the promise is settled already, so errors of `work` and `discard` are ignored.
    void pending
      .then(settle)
      .catch(reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Runs `work` unless the signal is aborted. Waits for started work even if the signal aborts, and
 * rejects with the signal's reason only then: for I/O that must have no effect after the call rejected.
 */
export async function completed<T>(
  { signal }: IoOptions,
  work: () => Promise<T>,
  discard: (late: T) => unknown = () => undefined,
): Promise<T> {
  signal?.throwIfAborted();
  try {
    const value = await work();
    if (signal?.aborted === true) await discard(value);
    return value;
  } finally {
    // Replaces an error of `work`, too: the caller asked for this one.
    signal?.throwIfAborted();
  }
}
