/** Bounds of the requests to S3; whoever operates Berth has no reason to change them, tests have. */
export interface S3Options {
  /** Of one call, the first one included. The SDK waits between them, with jitter. */
  readonly attempts: number;
  /** For all attempts of a call. */
  readonly callMs: number;
  /** On top of it, for the bytes that a call sends. */
  readonly msPerMib: number;
  /** For the attempts of a CompleteMultipartUpload, which takes S3 minutes when there are thousands of parts. */
  readonly completeMs: number;
  readonly connectMs: number;
  /** Silence on a connection that waits for something, after which it is given up. */
  readonly silenceMs: number;
  /** Connections that are kept for the next request. */
  readonly idleSockets: number;
  /** Entries of a page of a list, and objects of one deletion: at most 1000. */
  readonly pageSize: number;
}

export const S3_DEFAULTS: S3Options = {
  attempts: 6,
  callMs: 60_000,
  msPerMib: 10_000,
  completeMs: 240_000,
  connectMs: 5_000,
  silenceMs: 60_000,
  idleSockets: 256,
  pageSize: 1000,
};
