import type { Outcome } from './client-request.js';

/** "Try again later". 502 is the proxy's own. */
const TRANSIENT = new Set([408, 429, 502, 503, 507]);
/** Responses of Berth that must have `Retry-After`. */
const WITH_RETRY_AFTER = new Set([429, 503]);

/** Whether a client should repeat the request: it got no response, or "try again later". */
export function asksToRetry({ status }: Outcome): boolean {
  return status === undefined || TRANSIENT.has(status);
}

/** Whether a response should have `Retry-After` and does not. */
export function lacksRetryAfter({ status, headers }: Outcome): boolean {
  return status !== undefined && WITH_RETRY_AFTER.has(status) && headers['retry-after'] === undefined;
}
