import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type BlobRecord, type BlobRow, toBlobRecord } from '../../blobs/blob.store.js';
import { advisoryLockKey } from '../../database/advisory-lock.js';
import { isConflict } from '../../database/errors/database-errors.js';
import { queryRows } from '../../database/query-rows.js';
import { type Transaction, UnitOfWork } from '../../database/unit-of-work.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { ObjectKey } from '../../storage/object-key.js';
import { recordingEvent } from '../../events/recording-event.js';
import { progressParameters, queryUploads } from '../session/upload-row.js';
import type { Lease, UploadProgress } from '../session/upload-session.js';

/** What a session's bytes become where nobody has pushed them before. */
export interface NewContent {
  readonly repository: RepositoryName;
  readonly canonical: Digest;
  /** Every digest that was verified, the canonical one among them. */
  readonly digests: readonly Digest[];
  readonly sizeBytes: number;
  readonly objectKey: ObjectKey;
}

/** What a commit that has begun finds. */
export interface Committing {
  /** The blob that has this content, as of now: the end of the commit decides. */
  readonly existing: BlobRecord | undefined;
}

/**
 * The statements that end an upload, fenced as those of `UploadSessionStore` are. Few of them: the round trips are the larger part of what a small
 * push costs this process.
 */
@Injectable()
export class UploadCommitStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * From here on the session can only become `digest`; its time to live begins. Looks for the content on the way. Nothing: fenced.
   */
  async markCommitting(
    lease: Lease,
    progress: UploadProgress,
    digest: Digest,
    canonical: Digest,
  ): Promise<Committing | undefined> {
    const [row] = await queryUploads<{ [Column in keyof BlobRow]: BlobRow[Column] | null }>(
      this.dataSource,
      `WITH marked AS (
         UPDATE uploads
            SET state = 'committing', digest = $7, offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
                lease_expires_at = clock_timestamp() + $3::float8 * interval '1 second',
                updated_at = CASE WHEN state = 'open' THEN now() ELSE updated_at END
          WHERE id = $1 AND version = $2 AND state IN ('open', 'committing') AND offset_bytes <= $4
          RETURNING id
       )
       SELECT existing.*
         FROM marked
         LEFT JOIN LATERAL (SELECT b.id, b.size_bytes, b.object_key
                              FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
                             WHERE d.digest = $8
                             LIMIT 1) AS existing ON true`,
      [lease.uploadId, lease.version, lease.leaseSeconds, ...progressParameters(progress), digest, canonical],
    );
    return row && { existing: row.id === null ? undefined : toBlobRecord(row as BlobRow) };
  }

  /**
   * Makes the bytes a blob, links it (making the repository with its first content) and ends the session, in one statement that does all of it or
   * nothing. Nothing, so that it is to be gone about step by step: somebody commits or has committed the same content, or makes the
   * repository just now; or the writer is fenced.
   *
   * Takes turns with the other commits of the content by the lock that they all take (`BlobStore.lockContent`), for which it doesn't wait: what was
   * committed meanwhile is not in the snapshot of a statement that has begun. The row of the session is locked before anything is made: a
   * writer that is fenced while this waits for it finds no row.
   */
  async commitNew(lease: Lease, content: NewContent): Promise<BlobRecord | undefined> {
    const { repository, canonical, digests, sizeBytes, objectKey } = content;
    const before = `content AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(${advisoryLockKey('content', '$3')}) AS is_locked),
      session AS (
        SELECT u.id AS session_id
          FROM content, uploads u
         WHERE is_locked AND u.id = $1 AND u.version = $2 AND u.state = 'committing'
           -- The keys of digests would refuse it as well; this spares the attempt.
           AND NOT EXISTS (SELECT FROM blob_digests d WHERE d.digest = $3)
           FOR UPDATE OF u),
      made AS (
        INSERT INTO repositories (name)
        SELECT $4 FROM session WHERE NOT EXISTS (SELECT FROM repositories WHERE name = $4)
            ON CONFLICT (name) DO NOTHING
        RETURNING id),
      place AS (
        SELECT id AS repository_id FROM made
         UNION ALL
        SELECT r.id FROM session, repositories r WHERE r.name = $4),
      blob AS (
        INSERT INTO blobs (size_bytes, object_key) SELECT $5, $6 FROM place RETURNING id AS new_id),
      named AS (
        INSERT INTO blob_digests (digest, blob_id) SELECT unnest($7::text[]), new_id FROM blob),
      link AS (
        INSERT INTO repository_blobs (repository_id, blob_id) SELECT repository_id, new_id FROM place, blob)`;
    const update = `UPDATE uploads
          SET state = 'committed', blob_id = new_id, holds_bytes = false, lease_holder = NULL, lease_expires_at = NULL,
              updated_at = now()
         FROM blob
        WHERE id = $1
        RETURNING id, offset_bytes, blob_id`;
    const statement = recordingEvent(
      update,
      [lease.uploadId, lease.version, canonical, repository, sizeBytes, objectKey, digests],
      { kind: `'committed'`, origin: lease, before },
    );
    try {
      // It may wait for another request that makes the repository.
      const [row] = await this.unitOfWork.statement<{ blob_id: string }>(...statement, repository);
      return row && { id: row.blob_id, sizeBytes, objectKey };
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /**
   * Part of the transaction that makes the blob, where it takes one. `holdsBytes` when the session's own bytes are not the blob's: they are to be
   * removed. Right when it is repeated, the answer to the COMMIT having been lost. False: fenced.
   */
  async markCommitted(
    transaction: Transaction,
    lease: Lease,
    blobId: string,
    holdsBytes: boolean,
  ): Promise<boolean> {
    // What it was before has to be known: where it is repeated, the event is there already.
    const update = `UPDATE uploads
          SET state = 'committed', blob_id = $3, holds_bytes = $4, lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
         FROM (SELECT id AS own_id, state AS previous_state
                 FROM uploads
                WHERE id = $1 AND version = $2 AND state IN ('committing', 'committed')
                  FOR UPDATE) own
        WHERE id = own_id
        RETURNING id, offset_bytes, previous_state`;
    const statement = recordingEvent(update, [lease.uploadId, lease.version, blobId, holdsBytes], {
      kind: `'committed'`,
      when: `previous_state = 'committing'`,
      origin: lease,
    });
    return (await queryRows(transaction, ...statement)).length > 0;
  }
}
