import { abortable } from '../abortable.js';
import type { IoOptions } from '../storage-driver.js';

/** A call did not settle in time. */
export class TimeoutError extends Error {
  constructor(
    readonly ms: number,
    options?: { cause?: unknown },
  ) {
    super(`no response within ${Math.round(ms)} ms`, options);
    this.name = 'TimeoutError';
  }
}

/**
 * Calls `work`, and aborts it when the caller's signal aborts (it rejects with the signal's reason) or after
 * `ms` (it rejects with {@link TimeoutError}). It rejects at once, because an SDK does not observe its signal
 * everywhere (not while it fetches credentials); a late result goes to `discard`.
 *
 * The signal of `work` never aborts after `work` has settled, so a stream that it returned lives on. That is
 * why this is not `AbortSignal.any([signal, AbortSignal.timeout(ms)])`.
 */
export async function withTimeout<T>(
  { signal }: IoOptions,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  discard?: (late: T) => void,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  const timer = setTimeout(() => controller.abort(new TimeoutError(ms)), ms);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await abortable({ signal: controller.signal }, () => work(controller.signal), discard);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
