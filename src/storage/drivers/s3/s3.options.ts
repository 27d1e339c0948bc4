/** Limits of the requests to S3. Operators need not change them; tests do. */
export interface S3Options {
  /** Attempts per call, the first one included. The SDK retries with backoff and jitter. */
  readonly attempts: number;
  /** For all attempts of a call. */
  readonly callMs: number;
  /** Added for the bytes that a call sends. */
  readonly msPerMib: number;
  /** For a CompleteMultipartUpload, which takes S3 minutes if there are thousands of parts. */
  readonly completeMs: number;
  readonly connectMs: number;
  /** A request is aborted when its connection is idle for this long. */
  readonly idleMs: number;
  /** Entries per page of a list, and objects per deletion: at most 1000. */
  readonly pageSize: number;
}

export const S3_DEFAULTS: S3Options = {
  attempts: 6,
  callMs: 60_000,
  msPerMib: 10_000,
  completeMs: 240_000,
  connectMs: 5_000,
  idleMs: 60_000,
  pageSize: 1000,
};
