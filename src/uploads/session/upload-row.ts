import type { UploadState } from '../../database/entities/upload.entity.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import type { Midstate } from '../hash/hasher.js';
import type { UploadProgress, UploadSession } from './upload-session.js';

/** A session as Postgres answers it. */
export interface UploadRow {
  id: UploadId;
  repository: RepositoryName;
  state: UploadState;
  offset_bytes: string;
  midstates: Midstate[];
  driver_state: DriverUploadState;
  version: string;
  lease_holder: string | null;
  digest: Digest | null;
  blob_id: string | null;
}

export const SESSION_COLUMNS =
  'id, repository, state, offset_bytes, midstates, driver_state, version, lease_holder, digest, blob_id';

export function toSession(row: UploadRow): UploadSession {
  return {
    id: row.id,
    repository: row.repository,
    state: row.state,
    offsetBytes: Number(row.offset_bytes),
    midstates: row.midstates,
    driverState: row.driver_state,
    version: Number(row.version),
    leaseHolder: row.lease_holder,
    digest: row.digest,
    blobId: row.blob_id,
  };
}

/** `offset_bytes`, `midstates` and `driver_state`, as statements take them. */
export function progressParameters({ offsetBytes, midstates, driverState }: UploadProgress): unknown[] {
  return [offsetBytes, JSON.stringify(midstates), JSON.stringify(driverState)];
}
