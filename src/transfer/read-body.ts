import type { ErrorCode } from '../oci/error-codes.js';
import { BodyBrokenError, BodySlowError, BodyStalledError } from './body.errors.js';
import { MinimumRate } from './minimum-rate.js';

/** Yielded instead of bytes after `heartbeatMs` without data. An upload then renews its lease. */
export const HEARTBEAT = Symbol('HEARTBEAT');

/** A request body before it is read. */
export interface UploadBody {
  /** The memory of a chunk is reused when the next one is requested. */
  readonly source: AsyncIterable<Uint8Array>;
  /** `Content-Length`, if the client sent it. */
  readonly lengthBytes: number | undefined;
  /** `Content-Range`, both ends inclusive, if the client sent it. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
  /** `Upload-Offset`, if the client sent it: the body begins there, at the end of the session's bytes. */
  readonly statedOffset?: number | undefined;
  /** The offset that the request's Location was given for, if it names one: the body begins there. */
  readonly locationOffset?: number | undefined;
  /**
   * Set if the client asked for its progress: called with the durable offset when the session is acquired,
   * and after each checkpoint. Bytes become durable within a second then.
   */
  readonly onDurable?: ((offsetBytes: number) => void) | undefined;
}

export interface ReadBodyOptions {
  /** The code of the errors. */
  readonly errorCode: ErrorCode;
  readonly heartbeatMs: number;
  /** The time, on the clock of `performance.now()`, at which a heartbeat is due earlier. */
  readonly dueAt?: () => number;
  readonly idleTimeoutMs: number;
  /** The minimum average over `idleTimeoutMs`; 0 for no minimum. */
  readonly minBytesPerSecond: number;
  /** Ends the reading at once, with the signal's reason. */
  readonly signal: AbortSignal;
}

/**
 * Reads a body chunk by chunk. The source is asked for the next chunk only when the caller is done with the
 * last one; this is the backpressure towards the client.
 *
 * @throws BodyStalledError if no data came for `idleTimeoutMs`; BodySlowError if too little came;
 *   BodyBrokenError if the connection closed.
 */
export async function* readBody(
  source: AsyncIterable<Uint8Array>,
  { errorCode, heartbeatMs, dueAt, idleTimeoutMs, minBytesPerSecond, signal }: ReadBodyOptions,
): AsyncGenerator<Uint8Array | typeof HEARTBEAT, void> {
  const iterator = source[Symbol.asyncIterator]();
  const interruption = new Interruption(signal, (cause) => new BodyBrokenError(errorCode, cause));
  const rate = new MinimumRate(minBytesPerSecond, idleTimeoutMs);
  const idleSeconds = idleTimeoutMs / 1000;
  try {
    let next = iterator.next();
    let lastByteAt = performance.now();
    let waitingSince = lastByteAt;
    let isTooSlow = false;
    for (;;) {
      const dueInMs = dueAt === undefined ? Infinity : dueAt() - performance.now();
      const outcome = await interruption.race(next, Math.min(heartbeatMs, dueInMs));
      const isHeartbeat = outcome === HEARTBEAT;
      if (!isHeartbeat && outcome.done === true) return;
      const now = performance.now();
      if (isHeartbeat && now - lastByteAt >= idleTimeoutMs)
        throw new BodyStalledError(errorCode, idleSeconds);
      const isFastEnough = rate.allows(isHeartbeat ? 0 : outcome.value.length, now - waitingSince);
      yield isHeartbeat ? HEARTBEAT : outcome.value;
      // Only after the yield, so that the last chunk is kept, and one turn later: the body may be complete
      // now.
      if (isTooSlow) throw new BodySlowError(errorCode, minBytesPerSecond, idleSeconds);
      isTooSlow = !isFastEnough;
      waitingSince = performance.now();
      if (isHeartbeat) continue;
      next = iterator.next();
      lastByteAt = waitingSince;
    }
  } finally {
    interruption.dispose();
    // Not awaited: `return` settles after a pending `next`, which a client that sends nothing never settles.
    iterator.return?.().catch(() => undefined);
  }
}

/**
 * `Promise.race` against a signal and a timer, without its leak: a promise that lives as long as the request
 * would keep the outcome of every race, and with it every chunk of the layer, in memory.
 */
class Interruption {
  private reject: (reason: Error) => void = () => undefined;

  constructor(
    private readonly signal: AbortSignal,
    private readonly toFailure: (cause: unknown) => Error,
  ) {
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  race<T>(promise: Promise<T>, milliseconds: number): Promise<T | typeof HEARTBEAT> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds, HEARTBEAT);
      const settle = (act: () => void) => {
        clearTimeout(timer);
        act();
      };
      this.reject = (reason) => settle(() => reject(reason));
      promise.then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(this.toFailure(error))),
      );
      if (this.signal.aborted) this.onAbort();
    });
  }

  dispose(): void {
    this.signal.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = () =>
    this.reject(this.signal.reason instanceof Error ? this.signal.reason : new Error('interrupted'));
}
