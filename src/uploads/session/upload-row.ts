import type { DataSource } from 'typeorm';
import type { UploadState } from '../../database/entities/upload.entity.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { queryRows } from '../../database/query-rows.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { UploadId } from '../../oci/upload-id.js';
import type { DriverUploadState } from '../../storage/storage-driver.js';
import type { Midstate } from '../hash/hasher.js';
import type { TarsumState } from '../hash/tarsum-state.js';
import type { UploadProgress, UploadSession } from './upload-session.js';

/** How long a request on an upload waits for Postgres to restart or to fail over. */
const MAX_OUTAGE_MS = 20_000;

/**
 * Does idempotent work of an upload in the database, and repeats it while Postgres is unavailable.
 *
 * @throws the last failure after 20 s; any other failure at once.
 */
export function retryDuringOutage<T>(work: () => Promise<T>): Promise<T> {
  return outlastOutage(MAX_OUTAGE_MS, work);
}

/** Runs an idempotent statement, and repeats it while Postgres is unavailable. */
export function queryUploads<Row>(
  { manager }: DataSource,
  sql: string,
  parameters: readonly unknown[],
): Promise<Row[]> {
  return retryDuringOutage(() => queryRows<Row>(manager, sql, [...parameters]));
}

/** A session as Postgres returns it. */
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
  body_start: Midstate | null;
  tarsums: TarsumState[] | null;
}

export const SESSION_COLUMNS = `id, repository, state, offset_bytes, midstates, driver_state, version,
  lease_holder, digest, blob_id, body_start, tarsums`;

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
    bodyStart: row.body_start,
    ...(row.tarsums !== null && { tarsums: row.tarsums }),
  };
}

/** The values of `offset_bytes`, `midstates` and `driver_state`. */
export function progressParameters({ offsetBytes, midstates, driverState }: UploadProgress): unknown[] {
  return [offsetBytes, JSON.stringify(midstates), JSON.stringify(driverState)];
}

/** The value of `tarsums`: null for a session without any. */
export function tarsumsParameter({ tarsums = [] }: UploadProgress): string | null {
  return tarsums.length === 0 ? null : JSON.stringify(tarsums);
}
