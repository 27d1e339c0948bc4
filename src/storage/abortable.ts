import type { IoOptions } from './storage-driver.js';

/**
 * Does `work` unless the signal is aborted, and rejects with the signal's reason as soon as it is. For I/O that
 * can't be interrupted: it goes on by itself, and what it gives too late is handed to `discard`, which closes it.
 */
export async function abortable<T>(
  { signal }: IoOptions,
  work: () => Promise<T>,
  discard: (late: T) => Promise<void> | void = () => undefined,
): Promise<T> {
  signal?.throwIfAborted();
  if (signal === undefined) {
    return work();
  }
  return new Promise<T>((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    const settle = (value: T): Promise<void> | void => (signal.aborted ? discard(value) : resolve(value));
    // After an abort the promise is settled already, and nobody waits for what `work` or `discard` fails with.
    void work()
      .then(settle)
      .catch(reject)
      .finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/**
 * Does `work` unless the signal is aborted. Once begun it is waited for, whatever the signal does meanwhile, and
 * rejects with the signal's reason only then: for I/O that nobody may meet after it was given up.
 */
export async function completed<T>(
  { signal }: IoOptions,
  work: () => Promise<T>,
  discard: (late: T) => unknown,
): Promise<T> {
  signal?.throwIfAborted();
  try {
    const value = await work();
    if (signal?.aborted === true) await discard(value);
    return value;
  } finally {
    // Over a failure too: the caller asked for this one.
    signal?.throwIfAborted();
  }
}
