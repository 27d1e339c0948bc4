import type { Outcome } from './client-request.js';

/** "Not now": refused, gone away (502 is the proxy's own), stopping, full, or too slow. */
const TRANSIENT = new Set([408, 429, 502, 503, 507]);
/** Those that Berth sends and that say when to come back. */
const WITH_RETRY_AFTER = new Set([429, 503]);

/** Whether a client should send the request again: it was not answered, or the answer was "not now". */
export function asksToRetry({ status }: Outcome): boolean {
  return status === undefined || TRANSIENT.has(status);
}

/** Whether an answer tells its client to come back but not when. */
export function lacksRetryAfter({ status, headers }: Outcome): boolean {
  return status !== undefined && WITH_RETRY_AFTER.has(status) && headers['retry-after'] === undefined;
}
