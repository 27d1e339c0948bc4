import type { UploadState } from '../database/entities/upload.entity.js';
import type { Digest } from '../oci/digest.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { UploadId } from '../oci/upload-id.js';
import type { DriverUploadState } from '../storage/storage-driver.js';
import type { Midstate } from './hash/hasher.js';

/** Which session is meant: an id alone is not enough, since access is decided by the repository. */
export interface UploadReference {
  readonly repository: RepositoryName;
  readonly id: UploadId;
}

/** Who began an upload. */
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
  /** What the client said the content is; set from `committing` on. */
  readonly digest: Digest | null;
  /** What the content became; set once committed. */
  readonly blobId: string | null;
}
