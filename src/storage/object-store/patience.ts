import { abortable } from '../abortable.js';
import type { IoOptions } from '../storage-driver.js';
import { type StorageError, StorageUnavailableError } from '../storage.errors.js';
import { TimeLimitError, withinTimeLimit } from './time-limit.js';

/** How long a store is waited for, and how often it is asked. Tests shorten it. */
export interface PatienceLimits {
  /** At one call, the first one included. */
  readonly attempts: number;
  /** For all attempts at a call that moves no bytes; each of them gets a third of it. */
  readonly deadlineMs: number;
  /** A call that moves bytes gets the time on top that they take at this rate: the slowest way that is put up with. */
  readonly slowestBytesPerSecond: number;
  /** Before the second attempt; doubled from pause to pause, and each cut down by up to a half at random. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

/** A connection that hangs must leave time for another one, and then some. */
const ATTEMPTS_OF_DEADLINE = 3;

/** One call to a store. */
export interface PatientCall<T> {
  /** For the sentence of a failure. */
  readonly doing: string;
  /** One attempt. Its signal is the attempt's: it is never aborted once the attempt has settled. */
  readonly attempt: (signal: AbortSignal) => Promise<T>;
  /** Closes what an attempt brought that was given up. */
  readonly discard?: ((late: T) => void) | undefined;
  /** That it moves. */
  readonly bytes?: number;
}

/**
 * Tells what a failed attempt was, {@link TimeLimitError} included: {@link StorageUnavailableError} is tried again, any
 * other error is not.
 */
export type Classification = (error: unknown, doing: string) => StorageError;

/**
 * Tries again what may pass, with jitter and within a deadline, for stores whose SDK can't: whose retries have no jitter,
 * can't be given up, or leave an attempt that hangs the whole of the time.
 */
export class Patience {
  constructor(
    private readonly limits: PatienceLimits,
    private readonly failureOf: Classification,
  ) {}

  /**
   * Rejects with the signal's reason, with {@link StorageUnavailableError} when the attempts or the time are used up,
   * or at once with another `StorageError` that no repetition helps against.
   */
  async make<T>(call: PatientCall<T>, { signal }: IoOptions): Promise<T> {
    signal?.throwIfAborted();
    // Many calls may share the caller's signal, which would be warned of as a leak of listeners.
    const own = signal ? { signal: AbortSignal.any([signal]) } : {};
    const totalMs = this.totalMs(call);
    const deadline = performance.now() + totalMs;
    let answered: StorageError | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = Math.max(deadline - performance.now(), 0);
      const attemptMs = Math.min(leftMs, totalMs / ATTEMPTS_OF_DEADLINE);
      try {
        return await withinTimeLimit(own, attemptMs, call.attempt, call.discard);
      } catch (error) {
        signal?.throwIfAborted();
        const failure = this.failureOf(error, call.doing);
        if (!(failure instanceof StorageUnavailableError) || attempt >= this.limits.attempts) throw failure;
        const isSilent = error instanceof TimeLimitError;
        if (!isSilent) answered = failure;
        const pauseMs = this.pauseAfter(attempt);
        if (performance.now() + pauseMs < deadline) await pause(pauseMs, own);
        // The whole time says more than that of the last attempt.
        else throw isSilent ? this.late(call, totalMs, answered) : failure;
      }
    }
  }

  private totalMs({ bytes = 0 }: { bytes?: number }): number {
    return this.limits.deadlineMs + Math.ceil((bytes / this.limits.slowestBytesPerSecond) * 1000);
  }

  private pauseAfter(attempt: number): number {
    const { firstPauseMs, longestPauseMs } = this.limits;
    return Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs) * (0.5 + Math.random() / 2);
  }

  private late({ doing }: { doing: string }, ms: number, cause: StorageError | undefined): StorageError {
    return this.failureOf(new TimeLimitError(ms, { cause }), doing);
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
