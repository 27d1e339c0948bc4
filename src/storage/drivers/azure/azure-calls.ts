import { setTimeout as sleep } from 'node:timers/promises';
import { abortable } from '../../abortable.js';
import type { IoOptions } from '../../storage-driver.js';
import { StorageUnavailableError } from '../../storage.errors.js';
import { failureOf, TimeLimitError } from './azure-failure.js';
import type { AzureLimits } from './azure-limits.js';
import type { AzurePlace } from './azure-place.js';

/** One call to Azure. */
export interface AzureCall<T> {
  /** For a message: "Azure could not …". */
  readonly doing: string;
  /** One attempt. Its signal is the attempt's: it is never aborted once the attempt has settled. */
  readonly attempt: (signal: AbortSignal) => Promise<T>;
  /** Closes what an attempt brought that was given up. */
  readonly discard?: (late: T) => void;
  /** That it carries. */
  readonly bytes?: number;
}

/**
 * Makes calls, again where what failed may pass. Not by the SDK's own retries, which have no jitter and no limit to the
 * time of an attempt: a connection that hangs would be waited for until the deadline.
 */
export class AzureCalls {
  constructor(
    private readonly place: AzurePlace,
    private readonly limits: AzureLimits,
  ) {}

  /**
   * Rejects with the signal's reason, with {@link StorageUnavailableError} when the attempts or the time are used up,
   * or at once with another `StorageError` that no repetition helps against.
   */
  async make<T>(call: AzureCall<T>, { signal }: IoOptions): Promise<T> {
    const totalMs = this.limits.deadlineMs + ((call.bytes ?? 0) / this.limits.bytesPerSecond) * 1000;
    const deadline = performance.now() + totalMs;
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = deadline - performance.now();
      try {
        return await within(Math.min(leftMs, totalMs / 3), signal, call);
      } catch (error) {
        signal?.throwIfAborted();
        const failure = failureOf(error, call.doing, this.place);
        const pauseMs = this.pauseAfter(attempt);
        const isOver = attempt >= this.limits.attempts || performance.now() + pauseMs >= deadline;
        if (!(failure instanceof StorageUnavailableError) || isOver) throw failure;
        await pause(pauseMs, signal);
      }
    }
  }

  private pauseAfter(attempt: number): number {
    const { pauseMs, longestPauseMs } = this.limits;
    return Math.min(pauseMs * 2 ** (attempt - 1), longestPauseMs) * (0.5 + Math.random() / 2);
  }
}

/** One attempt, which the caller's signal or the time ends. What it brought outlives both. */
async function within<T>(ms: number, signal: AbortSignal | undefined, call: AzureCall<T>): Promise<T> {
  signal?.throwIfAborted();
  const attempt = new AbortController();
  const forward = (): void => attempt.abort(signal?.reason);
  const timer = setTimeout(() => attempt.abort(new TimeLimitError(ms)), ms);
  signal?.addEventListener('abort', forward, { once: true });
  try {
    return await abortable({ signal: attempt.signal }, () => call.attempt(attempt.signal), call.discard);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', forward);
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal && { signal });
  } catch {
    signal?.throwIfAborted();
  }
}
