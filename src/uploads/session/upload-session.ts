import type { UploadState } from '../../database/entities/upload.entity.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import type { Midstate } from '../hash/hasher.js';

/** Which session is meant: an id alone is not enough, since access is decided by the repository. */
export interface UploadReference {
  readonly repository: RepositoryName;
  readonly id: UploadId;
}

/** Who makes a request on an upload. */
export interface UploadOrigin {
  readonly createdBy: string | null;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
}

/** How far an upload has come: the three belong together and are only ever recorded together. */
export interface UploadProgress {
  /** Durable bytes. */
  readonly offsetBytes: number;
  /** One per algorithm, each after `offsetBytes` bytes. */
  readonly midstates: readonly Midstate[];
  /** What the driver needs to go on after `offsetBytes` bytes. */
  readonly driverState: DriverUploadState;
}

/** An upload session as its row has it. */
export interface UploadSession extends UploadReference, UploadProgress {
  readonly state: UploadState;
  /** The fencing version: whoever holds an older one may not change the row. */
  readonly version: number;
  /** The process that writes; null: nobody does. */
  readonly leaseHolder: string | null;
  /** What the client said the content is; set from `committing` on. */
  readonly digest: Digest | null;
  /** What the content became; set once committed. */
  readonly blobId: string | null;
}

/** A request that wants to write, in which process and for how long at a time. */
export interface Claimant {
  readonly replica: string;
  readonly by: UploadOrigin;
  readonly leaseSeconds: number;
}

/** The right of one request to change a session: until it lets go, or is silent for `leaseSeconds` and another takes it. */
export interface Lease extends Claimant {
  readonly uploadId: UploadId;
  /** The fencing version that it was taken with: every change names it. */
  readonly version: number;
  /** When it was taken, on the clock of `performance.now()`. */
  readonly takenAt: number;
}

/** A writer prolongs its lease this often, however fast or slowly bytes come. */
export function heartbeatMs({ leaseSeconds }: Pick<Claimant, 'leaseSeconds'>): number {
  return (leaseSeconds * 1000) / 4;
}
