import type { PatienceLimits } from '../../object-store/patience.js';

/** What bounds the calls to Azure. Tests shorten it. */
export interface AzureLimits extends PatienceLimits {
  /** For a connection to be made, TLS included. */
  readonly connectMs: number;
  /** A download that is waited for and brings nothing for this long, or twice as long at the most, is broken off. */
  readonly idleMs: number;
  /** Blobs on a page of a list; Azure gives 5000 at the most. */
  readonly pageSize: number;
  /** Azure has no plain request that deletes several blobs. */
  readonly deletesAtOnce: number;
}

export const AZURE_LIMITS: AzureLimits = {
  attempts: 6,
  deadlineMs: 60_000,
  slowestBytesPerSecond: 128 * 1024,
  firstPauseMs: 250,
  longestPauseMs: 5000,
  connectMs: 10_000,
  idleMs: 30_000,
  pageSize: 1000,
  deletesAtOnce: 8,
};
