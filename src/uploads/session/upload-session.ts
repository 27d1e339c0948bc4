import type { UploadState } from '../../database/entities/upload.entity.js';
import type { EventOrigin } from '../../events/events.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import type { Midstate } from '../hash/hasher.js';
import type { TarsumState } from '../hash/tarsum-state.js';

/** Names a session. The id alone is not enough: access is decided by the repository. */
export interface UploadReference {
  readonly repository: RepositoryName;
  readonly id: UploadId;
}

/** Where a request on an upload comes from. */
export interface UploadOrigin {
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
}

/** The progress of an upload. Its parts belong together and are only ever recorded together. */
export interface UploadProgress {
  /** Durable bytes. */
  readonly offsetBytes: number;
  /** One per algorithm, each after `offsetBytes` bytes. */
  readonly midstates: readonly Midstate[];
  /** What the driver needs to continue after `offsetBytes` bytes. */
  readonly driverState: DriverUploadState;
  /** Those that the client announced or named. Each may be of fewer bytes; then it says nothing. */
  readonly tarsums?: readonly TarsumState[];
}

/** The row of an upload session. */
export interface UploadSession extends UploadReference, UploadProgress {
  readonly state: UploadState;
  /** The fencing version. A writer with an older one can't change the row. */
  readonly version: number;
  /** The process that has the lease; null if the session is free. */
  readonly leaseHolder: string | null;
  /**
   * The digest that the client named; set from `committing` on. In an open session: a request was about to
   * store its whole content, which has this sha256 digest, so there may be an object.
   */
  readonly digest: Digest | null;
  /** The blob that the upload became; set when committed. */
  readonly blobId: string | null;
  /**
   * The state of the canonical hash where the last body began, unless it was the first one: a repetition of
   * that body is recognised with it (see `bodyStartOf`).
   */
  readonly bodyStart: Midstate | null;
}

/** What a request asks for when it acquires a session. */
export interface LeaseRequest extends EventOrigin, UploadOrigin {
  readonly leaseSeconds: number;
}

/**
 * A request's right to change a session, until it is released or expires `leaseSeconds` after the last
 * renewal.
 */
export interface Lease extends LeaseRequest {
  readonly uploadId: UploadId;
  /** The fencing version that acquiring the session gave. Every change names it. */
  readonly version: number;
  /** On the clock of `performance.now()`. */
  readonly acquiredAt: number;
}

/** Bytes of a client that asked for its progress become durable after this time at the latest. */
export const MAX_LAG_MS = 1_000;

/** A writer renews its lease this often, however fast or slowly bytes arrive. */
export function heartbeatMs({ leaseSeconds }: Pick<LeaseRequest, 'leaseSeconds'>): number {
  return (leaseSeconds * 1000) / 4;
}
