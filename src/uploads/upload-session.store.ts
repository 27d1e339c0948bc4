import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { UploadState } from '../database/entities/upload.entity.js';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { UploadId } from '../oci/upload-id.js';
import type { DriverUploadState } from '../storage/storage-driver.js';
import type { Midstate } from './hash/hasher.js';
import type { UploadOrigin, UploadProgress, UploadReference, UploadSession } from './upload-session.js';

interface UploadRow {
  id: UploadId;
  repository: RepositoryName;
  state: UploadState;
  offset_bytes: string;
  midstates: Midstate[];
  driver_state: DriverUploadState;
  version: string;
  digest: Digest | null;
  blob_id: string | null;
}

const COLUMNS = 'id, repository, state, offset_bytes, midstates, driver_state, version, digest, blob_id';
const LEASE_END = `clock_timestamp() + $3::float8 * interval '1 second'`;

/**
 * The rows of upload sessions. Every change of a session is one UPDATE that names the fencing version of its writer:
 * when it changes no row, the writer is fenced, and the method answers `false`. Times are the database's own, so
 * replicas need no common clock.
 */
@Injectable()
export class UploadSessionStore {
  constructor(private readonly dataSource: DataSource) {}

  async insert(reference: UploadReference, progress: UploadProgress, origin: UploadOrigin): Promise<void> {
    await this.query(
      `INSERT INTO uploads (id, repository, midstates, driver_state, created_by, client_address, user_agent)
       VALUES ($1, $2, $3::jsonb, $4::jsonb, $5, $6, $7)`,
      [
        reference.id,
        reference.repository,
        JSON.stringify(progress.midstates),
        JSON.stringify(progress.driverState),
        origin.createdBy,
        origin.clientAddress,
        origin.userAgent,
      ],
    );
  }

  async find({ repository, id }: UploadReference): Promise<UploadSession | undefined> {
    const sql = `SELECT ${COLUMNS} FROM uploads WHERE id = $1 AND repository = $2`;
    const [row] = await this.query<UploadRow>(sql, [id, repository]);
    return row && toSession(row);
  }

  /**
   * Takes a session that nobody holds (or whose holder's lease has lapsed) for `holder`, raising the fencing version.
   * Answers nothing where somebody holds it, or where it isn't there to be written.
   */
  async acquire(
    { repository, id }: UploadReference,
    holder: string,
    leaseSeconds: number,
  ): Promise<UploadSession | undefined> {
    const [row] = await this.query<UploadRow>(
      `UPDATE uploads
          SET version = version + 1, lease_holder = $4, lease_expires_at = ${LEASE_END}, updated_at = now()
        WHERE id = $1 AND repository = $2 AND state IN ('open', 'committing')
          AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
        RETURNING ${COLUMNS}`,
      [id, repository, leaseSeconds, holder],
    );
    return row && toSession(row);
  }

  /** Records durable progress, and prolongs the lease or (`null`) lets go of it. False: fenced, nothing was recorded. */
  async checkpoint(
    id: UploadId,
    version: number,
    leaseSeconds: number | null,
    progress: UploadProgress,
  ): Promise<boolean> {
    const rows = await this.query(
      `UPDATE uploads
          SET offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
              lease_expires_at = ${LEASE_END}, updated_at = now(),
              lease_holder = CASE WHEN $3::float8 IS NULL THEN NULL ELSE lease_holder END
        WHERE id = $1 AND version = $2 AND state = 'open'
        RETURNING id`,
      [id, version, leaseSeconds, ...progressParameters(progress)],
    );
    return rows.length > 0;
  }

  /** Prolongs the lease alone. False: fenced. */
  async prolong(id: UploadId, version: number, leaseSeconds: number): Promise<boolean> {
    const sql = `UPDATE uploads SET lease_expires_at = ${LEASE_END}
                  WHERE id = $1 AND version = $2 AND lease_holder IS NOT NULL RETURNING id`;
    return (await this.query(sql, [id, version, leaseSeconds])).length > 0;
  }

  /** Lets go of the lease. Does nothing when fenced: it is another writer's lease then. */
  async release(id: UploadId, version: number): Promise<void> {
    const sql =
      'UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL WHERE id = $1 AND version = $2 RETURNING id';
    await this.query(sql, [id, version]);
  }

  /** Nobody can hold any session: called at boot by the one process that a private database has. */
  async releaseAll(): Promise<void> {
    await this.query(
      'UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL WHERE lease_expires_at IS NOT NULL',
    );
  }

  /** Frees what a process held that is known to have ended: nothing of it can still be writing. */
  async releaseHolder(holder: string): Promise<void> {
    const sql = 'UPDATE uploads SET lease_holder = NULL, lease_expires_at = NULL WHERE lease_holder = $1';
    await this.query(sql, [holder]);
  }

  /** From here on the session can only become this digest. False: fenced. */
  async markCommitting(
    id: UploadId,
    version: number,
    leaseSeconds: number,
    progress: UploadProgress,
    digest: Digest,
  ): Promise<boolean> {
    const rows = await this.query(
      `UPDATE uploads
          SET state = 'committing', digest = $7, offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
              lease_expires_at = ${LEASE_END}, updated_at = now()
        WHERE id = $1 AND version = $2 AND state IN ('open', 'committing')
        RETURNING id`,
      [id, version, leaseSeconds, ...progressParameters(progress), digest],
    );
    return rows.length > 0;
  }

  /** Part of the transaction that makes the blob. False: fenced. */
  async markCommitted(
    transaction: Transaction,
    id: UploadId,
    version: number,
    blobId: string,
  ): Promise<boolean> {
    const rows = await queryRows(
      transaction,
      `UPDATE uploads
          SET state = 'committed', blob_id = $3, lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
        WHERE id = $1 AND version = $2 AND state = 'committing'
        RETURNING id`,
      [id, version, blobId],
    );
    return rows.length > 0;
  }

  /** Answers what the driver has to forget; nothing: fenced, or committed by a COMMIT whose answer was lost. */
  async markCancelled(id: UploadId, version: number): Promise<DriverUploadState | undefined> {
    const [row] = await this.query<Pick<UploadRow, 'driver_state'>>(
      `UPDATE uploads
          SET state = 'cancelled', lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
        WHERE id = $1 AND version = $2 AND state IN ('open', 'committing')
        RETURNING driver_state`,
      [id, version],
    );
    return row?.driver_state;
  }

  private query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, parameters);
  }
}

function progressParameters({ offsetBytes, midstates, driverState }: UploadProgress): unknown[] {
  return [offsetBytes, JSON.stringify(midstates), JSON.stringify(driverState)];
}

function toSession(row: UploadRow): UploadSession {
  return {
    id: row.id,
    repository: row.repository,
    state: row.state,
    offsetBytes: Number(row.offset_bytes),
    midstates: row.midstates,
    driverState: row.driver_state,
    version: Number(row.version),
    digest: row.digest,
    blobId: row.blob_id,
  };
}
