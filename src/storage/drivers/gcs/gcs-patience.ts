import { setTimeout as sleep } from 'node:timers/promises';
import { abortable } from '../../abortable.js';
import { StorageUnavailableError } from '../../storage.errors.js';
import { type GcsPlace, isTransient, requestErrorOf, storageErrorOf } from './gcs.errors.js';

/** How long the store is waited for, and how often it is asked. */
export interface GcsPatienceOptions {
  /** For all attempts of a call that moves no bytes. */
  readonly deadlineMs: number;
  /** What a call that moves bytes gets on top: the slowest way that is put up with. */
  readonly slowestBytesPerSecond: number;
  /** The first one included. */
  readonly attempts: number;
  /** Doubled from pause to pause, and each cut down by up to a half at random. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Connecting included: for how long a connection may be silent before the attempt is given up. */
  readonly idleMs: number;
  /** For the deletion of parts that an object was made of: what is left then is found by a listing. */
  readonly cleaningMs: number;
}

export const GCS_PATIENCE: GcsPatienceOptions = {
  deadlineMs: 60_000,
  slowestBytesPerSecond: 256 * 1024,
  attempts: 6,
  firstPauseMs: 200,
  longestPauseMs: 10_000,
  idleMs: 30_000,
  cleaningMs: 15_000,
};

interface Request<T> {
  readonly signal?: AbortSignal | undefined;
  /** What it is for, as in `listing objects`. */
  readonly doing: string;
  /** That it moves. */
  readonly bytes?: number;
  /** Gets what comes after it was given up. */
  readonly discard?: (late: T) => void;
}

/**
 * Tries again what may pass, with jitter and within a deadline. The SDK could do the former, but its retries (version 7)
 * can't be given up, begin with two seconds, and never settle when its own deadline comes in a pause.
 */
export class GcsPatience {
  constructor(
    private readonly options: GcsPatienceOptions,
    private readonly place: GcsPlace,
  ) {}

  /**
   * @throws StorageUnavailableError after the last attempt, or at the deadline.
   * @throws StorageError for everything else but the signal's reason.
   */
  async ask<T>(request: Request<T>, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, doing, bytes = 0 } = request;
    signal?.throwIfAborted();
    const ms = this.options.deadlineMs + Math.ceil((bytes / this.options.slowestBytesPerSecond) * 1000);
    const deadline = AbortSignal.timeout(ms);
    const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
    let last: unknown;
    for (let attempts = 1; ; attempts += 1) {
      try {
        if (attempts > 1) await sleep(this.pauseMs(attempts), undefined, { signal: either });
        return await abortable({ signal: either }, () => attempt(either), request.discard);
      } catch (error) {
        signal?.throwIfAborted();
        if (deadline.aborted) throw this.late(doing, ms, last);
        last = error;
        if (attempts >= this.options.attempts || !isTransient(requestErrorOf(error))) {
          throw storageErrorOf(error, doing, this.place);
        }
      }
    }
  }

  private pauseMs(attempt: number): number {
    const longest = Math.min(this.options.firstPauseMs * 2 ** (attempt - 2), this.options.longestPauseMs);
    return longest * (0.5 + Math.random() / 2);
  }

  private late(doing: string, ms: number, last: unknown): StorageUnavailableError {
    const cause = last === undefined ? undefined : requestErrorOf(last);
    return new StorageUnavailableError(
      `${doing} failed: ${this.place.endpoint} did not answer within ${ms / 1000} s`,
      { cause },
    );
  }
}
