import { MinimumRate } from './minimum-rate.js';
import { BodyBrokenError, BodyIdleError, BodySlowError } from './body.errors.js';

/** Yielded instead of bytes when none came for a while: time to prolong the lease. */
export const HEARTBEAT = Symbol('HEARTBEAT');

/** A request's body on its way in. */
export interface UploadBody {
  /** A chunk's memory is used again when the next one is asked for. */
  readonly source: AsyncIterable<Uint8Array>;
  /** `Content-Length`, where the client sent one. */
  readonly lengthBytes: number | undefined;
  /** `Content-Range`, both ends inclusive, where the client sent one. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
}

export interface ReadBodyOptions {
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  /** What has to come on average over `idleTimeoutMs`; 0 for no minimum. */
  readonly minBytesPerSecond: number;
  /** Aborted: reading ends at once, with the signal's reason. */
  readonly signal: AbortSignal;
}

/**
 * Reads a body chunk by chunk, however slowly it comes. The source is asked for more only when the last chunk
 * has been dealt with: this is the backpressure towards the client.
 *
 * @throws BodyIdleError when no byte came for `idleTimeoutMs`; BodySlowError when too few came;
 *   BodyBrokenError when the client went away.
 */
export async function* readBody(
  source: AsyncIterable<Uint8Array>,
  { heartbeatMs, idleTimeoutMs, minBytesPerSecond, signal }: ReadBodyOptions,
): AsyncGenerator<Uint8Array | typeof HEARTBEAT, void> {
  const iterator = source[Symbol.asyncIterator]();
  const interruption = new Interruption(signal);
  const rate = new MinimumRate(minBytesPerSecond, idleTimeoutMs);
  try {
    let next = iterator.next();
    let lastByteAt = performance.now();
    let waitingSince = lastByteAt;
    let isTooSlow = false;
    for (;;) {
      const outcome = await interruption.race(next, heartbeatMs);
      const isHeartbeat = outcome === HEARTBEAT;
      if (!isHeartbeat && outcome.done === true) return;
      const now = performance.now();
      if (isHeartbeat && now - lastByteAt >= idleTimeoutMs) throw new BodyIdleError(idleTimeoutMs / 1000);
      const isFastEnough = rate.allows(isHeartbeat ? 0 : outcome.value.length, now - waitingSince);
      yield isHeartbeat ? HEARTBEAT : outcome.value;
      // After the yield, so that what came last is kept; and one turn later, since the body may be complete.
      if (isTooSlow) throw new BodySlowError(minBytesPerSecond, idleTimeoutMs / 1000);
      isTooSlow = !isFastEnough;
      waitingSince = performance.now();
      if (isHeartbeat) continue;
      next = iterator.next();
      lastByteAt = waitingSince;
    }
  } finally {
    interruption.dispose();
    // Not awaited: a pending `next` of a client that sends nothing would keep it from ever settling.
    iterator.return?.().catch(() => undefined);
  }
}

/**
 * `Promise.race` against a signal and a clock without its leak: a promise that lives as long as the request would
 * hold on to the outcome of every race that it took part in, and with it to every chunk of the layer.
 */
class Interruption {
  private reject: (reason: Error) => void = () => undefined;

  constructor(private readonly signal: AbortSignal) {
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
        (error: unknown) => settle(() => reject(new BodyBrokenError(error))),
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
