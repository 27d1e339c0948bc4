import { abortable } from '../abortable.js';
import type { IoOptions } from '../storage-driver.js';
import { type StorageError, StorageUnavailableError } from '../storage.errors.js';
import { TimeoutError, withTimeout } from './timeout.js';

/** Tests shorten these. */
export interface RetryLimits {
  /** Attempts per call, the first one included. */
  readonly attempts: number;
  /** For all attempts of a call that transfers no bytes. One attempt gets a third of it. */
  readonly deadlineMs: number;
  /** A call that transfers bytes has more time: what they take at this rate. */
  readonly minBytesPerSecond: number;
  /** Before the second attempt. Pauses double, and each is shortened by a random part of up to a half. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

/** If a connection hangs, there must be time for another one. */
const ATTEMPTS_PER_DEADLINE = 3;

/** A call to a store that can be repeated. */
export interface RetriedCall<T> {
  /** For error messages, as in "list objects". */
  readonly action: string;
  /** One attempt. Its signal never aborts after it has settled. */
  readonly attempt: (signal: AbortSignal) => Promise<T>;
  /** Closes the result of an attempt that was aborted before. */
  readonly discard?: ((late: T) => void) | undefined;
  /** Bytes that the call transfers. */
  readonly bytes?: number;
}

/**
 * Translates an error of an attempt, {@link TimeoutError} included. `StorageUnavailableError` is retried, any
 * other error is not. `hasSucceeded`: an earlier call of this policy has succeeded.
 */
export type TranslateError = (error: unknown, action: string, hasSucceeded: boolean) => StorageError;

/**
 * Retries calls with backoff, jitter and a deadline. For the SDKs of Azure and Google, whose retries have no
 * jitter, can't be aborted, or let one hanging attempt use up all the time.
 */
export class RetryPolicy {
  private hasSucceeded = false;

  constructor(
    private readonly limits: RetryLimits,
    private readonly translate: TranslateError,
  ) {}

  /**
   * Rejects with the signal's reason, with {@link StorageUnavailableError} when attempts or time are used up,
   * or at once with another `StorageError`.
   */
  async run<T>(call: RetriedCall<T>, { signal }: IoOptions): Promise<T> {
    signal?.throwIfAborted();
    // Many calls may share the caller's signal. With listeners on it, Node would warn of a leak.
    const own = signal ? { signal: AbortSignal.any([signal]) } : {};
    const totalMs = this.totalMs(call);
    const deadline = performance.now() + totalMs;
    let lastResponse: StorageError | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = Math.max(deadline - performance.now(), 0);
      const attemptMs = Math.min(leftMs, totalMs / ATTEMPTS_PER_DEADLINE);
      try {
        const result = await withTimeout(own, attemptMs, call.attempt, call.discard);
        this.hasSucceeded = true;
        return result;
      } catch (error) {
        signal?.throwIfAborted();
        const failure = this.translate(error, call.action, this.hasSucceeded);
        if (!(failure instanceof StorageUnavailableError) || attempt >= this.limits.attempts) throw failure;
        const isTimeout = error instanceof TimeoutError;
        if (!isTimeout) lastResponse = failure;
        const pauseMs = this.pauseAfter(attempt);
        if (performance.now() + pauseMs < deadline) await pause(pauseMs, own);
        // The message names the time of the whole call, not of the last attempt.
        else throw isTimeout ? this.timedOut(call, totalMs, lastResponse) : failure;
      }
    }
  }

  private totalMs({ bytes = 0 }: { bytes?: number }): number {
    return this.limits.deadlineMs + Math.ceil((bytes / this.limits.minBytesPerSecond) * 1000);
  }

  private pauseAfter(attempt: number): number {
    const { firstPauseMs, maxPauseMs } = this.limits;
    return Math.min(firstPauseMs * 2 ** (attempt - 1), maxPauseMs) * (0.5 + Math.random() / 2);
  }

  private timedOut(
    { action }: { action: string },
    ms: number,
    cause: StorageError | undefined,
  ): StorageError {
    return this.translate(new TimeoutError(ms, { cause }), action, this.hasSucceeded);
  }
}

/** Rejects with the signal's reason. */
async function pause(ms: number, options: IoOptions): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await abortable(options, () => new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))));
  } finally {
    clearTimeout(timer);
  }
}
