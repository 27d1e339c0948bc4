import { BUSY_UPLOAD } from '../../oci/busy-upload.js';
import type { Answer } from './answer.js';

/** How often an internal error is taken for a passing one. */
const MAX_INTERNAL_ERRORS = 3;

/**
 * Whether an answer is about a replica's trouble, so that another replica, or a later attempt, may do better:
 * its database or storage is away, or it stops.
 *
 * @param failedAttempts how many attempts have failed before it.
 */
export function isTemporary(status: number, failedAttempts: number): boolean {
  if (status === 502 || status === 503 || status === 504) return true;
  if (status === 500) return failedAttempts < MAX_INTERNAL_ERRORS;
  // The replica's time for a body that pauses is not the client's, whose time the front measures.
  return status === 408;
}

/** Whether another request still holds an upload session: a writer that was lost, or that gives way. */
export function isBusyUpload({ status, body }: Answer): boolean {
  return status === 429 && Buffer.isBuffer(body) && body.includes(`"detail":${JSON.stringify(BUSY_UPLOAD)}`);
}

/** Whether a temporary answer tells the client to ask again, and when. Those of load balancers may not. */
export function saysWhen({ headers }: Answer): boolean {
  return headers['retry-after'] !== undefined;
}
