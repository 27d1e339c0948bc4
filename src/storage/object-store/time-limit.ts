import { abortable } from '../abortable.js';
import type { IoOptions } from '../storage-driver.js';

/** Nothing came back in the time that there was. */
export class TimeLimitError extends Error {
  constructor(
    readonly ms: number,
    options?: { cause?: unknown },
  ) {
    super(`no answer within ${Math.round(ms)} ms`, options);
    this.name = 'TimeLimitError';
  }
}

/**
 * Does `work`, and gives it up when the caller does (then it rejects with the signal's reason) or when the time is over
 * (then with {@link TimeLimitError}). It doesn't wait for what was given up, as not all of an SDK hears its signal
 * (fetching credentials doesn't); what comes too late is handed to `discard`. Neither reaches `work` once it has settled: a
 * stream that it gave is the caller's.
 */
export async function withinTimeLimit<T>(
  { signal }: IoOptions,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  discard?: (late: T) => void,
): Promise<T> {
  signal?.throwIfAborted();
  const giveUp = new AbortController();
  const left = (): void => giveUp.abort(signal?.reason);
  const timer = setTimeout(() => giveUp.abort(new TimeLimitError(ms)), ms);
  signal?.addEventListener('abort', left, { once: true });
  try {
    return await abortable({ signal: giveUp.signal }, () => work(giveUp.signal), discard);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', left);
  }
}
