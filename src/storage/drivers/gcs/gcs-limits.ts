import type { RetryLimits } from '../../object-store/retry-policy.js';

/** Limits of the requests to Google Cloud Storage. Tests shorten them. */
export interface GcsLimits extends RetryLimits {
  /** A request is aborted when its connection, while connecting too, is idle for this long. */
  readonly idleMs: number;
  /** For deleting the parts of a finished object. The reaper finds the rest by listing. */
  readonly cleanupMs: number;
}

export const GCS_LIMITS: GcsLimits = {
  attempts: 6,
  deadlineMs: 60_000,
  minBytesPerSecond: 256 * 1024,
  firstPauseMs: 200,
  maxPauseMs: 10_000,
  idleMs: 30_000,
  cleanupMs: 15_000,
};
