import type { RetryLimits } from '../../object-store/retry-policy.js';

/** Limits of the requests to Azure. Tests shorten them. */
export interface AzureLimits extends RetryLimits {
  /** Blobs per page of a list, at most 5000. */
  readonly pageSize: number;
  /** Azure has no plain request that deletes several blobs. */
  readonly concurrentDeletes: number;
}

export const AZURE_LIMITS: AzureLimits = {
  attempts: 6,
  deadlineMs: 60_000,
  minBytesPerSecond: 128 * 1024,
  firstPauseMs: 250,
  maxPauseMs: 5000,
  pageSize: 1000,
  concurrentDeletes: 8,
};
