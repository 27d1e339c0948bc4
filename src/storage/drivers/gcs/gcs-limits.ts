import type { PatienceLimits } from '../../object-store/patience.js';

/** What bounds the calls to Google Cloud Storage. Tests shorten it. */
export interface GcsLimits extends PatienceLimits {
  /** Connecting included: for how long a connection may be silent before the attempt is given up. */
  readonly idleMs: number;
  /** For the deletion of parts that an object was made of: what is left then is found by a listing. */
  readonly cleaningMs: number;
}

export const GCS_LIMITS: GcsLimits = {
  attempts: 6,
  deadlineMs: 60_000,
  slowestBytesPerSecond: 256 * 1024,
  firstPauseMs: 200,
  longestPauseMs: 10_000,
  idleMs: 30_000,
  cleaningMs: 15_000,
};
