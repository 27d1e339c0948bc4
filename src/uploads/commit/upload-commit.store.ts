import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type BlobRecord, type BlobRow, toBlobRecord } from '../../blobs/blob.store.js';
import type { DisplacedReason } from '../../blobs/displaced-object.store.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { originParameters } from '../../events/recording-event.js';
import { uploadsEnded } from '../../observability/metrics/upload.metrics.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { type ObjectKey, parseObjectKey } from '../../storage/object-key.js';
import {
  progressParameters,
  queryUploads,
  retryDuringOutage,
  tarsumsParameter,
} from '../session/upload-row.js';
import type { Lease, UploadProgress } from '../session/upload-session.js';

/** The content of a session, about to become a blob of its repository. */
export interface NewContent {
  readonly repository: RepositoryName;
  readonly canonical: Digest;
  /** Every digest that was verified, the canonical one among them. */
  readonly digests: readonly Digest[];
  readonly sizeBytes: number;
}

/** What a session is about to become. */
export interface CommitTarget {
  /** A digest that the client named: if one is not canonical, this one. */
  readonly digest: Digest;
  readonly canonical: Digest;
  readonly leftover?: LeftoverObject | undefined;
}

/** An object of the session that may exist, and that no blob can have any more. */
export interface LeftoverObject {
  readonly objectKey: ObjectKey;
  readonly digest: Digest;
}

/** The object of a new blob. */
export interface NewObject {
  readonly objectKey: ObjectKey;
  /** A lost or damaged object: if the content's blob still has it, the blob gets `objectKey` instead. */
  readonly replaces: ReplacedObject | undefined;
}

export interface ReplacedObject {
  readonly objectKey: ObjectKey;
  readonly reason: DisplacedReason;
}

/** The result of a commit. If the writer was fenced, or without a blob, nothing was changed. */
export interface Committed {
  readonly isFenced: boolean;
  readonly blob: BlobRecord | undefined;
}

/** A writer that was frozen may still store an object after its session has another digest. */
const LATE_STORE = `interval '10 minutes'`;

/**
 * The statements that commit an upload, fenced as those of `UploadSessionStore`. Few, since they dominate
 * small pushes.
 */
@Injectable()
export class UploadCommitStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * From here on the session can only become `digest`, and its time to live starts again. So its leftover
   * object is the collector's now. Returns the blob that has the content now, if any; undefined if the
   * writer was fenced.
   */
  async markCommitting(
    lease: Lease,
    progress: UploadProgress,
    { digest, canonical, leftover }: CommitTarget,
  ): Promise<{ readonly existing: BlobRecord | undefined } | undefined> {
    const [row] = await queryUploads<{ [Column in keyof BlobRow]: BlobRow[Column] | null }>(
      this.dataSource,
      `WITH marked AS (
         UPDATE uploads
            SET state = 'committing', digest = $7, tarsums = $11::jsonb,
                offset_bytes = $4, midstates = $5::jsonb, driver_state = $6::jsonb,
                lease_expires_at = clock_timestamp() + $3::float8 * interval '1 second',
                updated_at = CASE WHEN state = 'open' THEN now() ELSE updated_at END
          WHERE id = $1 AND version = $2 AND state IN ('open', 'committing') AND offset_bytes <= $4
          RETURNING id
       ), leaving AS (
         INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
         SELECT $9::text, 0, $10::text, now() + ${LATE_STORE} FROM marked WHERE $9::text IS NOT NULL
             ON CONFLICT (object_key) DO NOTHING
       )
       SELECT existing.*
         FROM marked
         LEFT JOIN LATERAL (SELECT b.id, b.size_bytes, b.object_key
                              FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
                             WHERE d.digest = $8
                             LIMIT 1) AS existing ON true`,
      [
        ...[lease.uploadId, lease.version, lease.leaseSeconds, ...progressParameters(progress)],
        ...[digest, canonical, leftover?.objectKey, leftover?.digest, tarsumsParameter(progress)],
      ],
    );
    return row && { existing: row.id === null ? undefined : toBlobRecord(row as BlobRow) };
  }

  /**
   * Makes the content a blob, with the session's tarsums, links it and ends the session, in one statement
   * (`commit_upload`, among the migrations). Of several commits of one content the first one wins: the others
   * link its blob. Without an object, links the content if the registry has it, and otherwise returns no
   * blob. Returns no blob also if the session has become one that was collected since.
   */
  async commit(lease: Lease, content: NewContent, object?: NewObject): Promise<Committed> {
    const { repository, canonical, digests, sizeBytes } = content;
    const replaces = object?.replaces;
    const parameters = [
      ...[lease.uploadId, lease.version, repository, canonical, digests, sizeBytes],
      ...[object?.objectKey, replaces?.objectKey, replaces?.reason],
      ...originParameters(lease),
    ];
    const sql = 'SELECT * FROM commit_upload($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)';
    const [row] = await retryDuringOutage(() =>
      this.unitOfWork.statement<CommittedRow>(sql, parameters, [canonical, repository]),
    );
    if (row === undefined) throw new Error('commit_upload returned no row');
    const { is_fenced: isFenced, stored_id: id, stored_key: key } = row;
    if (!isFenced && id !== null) uploadsEnded.inc(['committed']);
    const blob = id === null || key === null ? undefined : { id, sizeBytes, objectKey: parseObjectKey(key) };
    return { isFenced, blob };
  }
}

interface CommittedRow {
  is_fenced: boolean;
  stored_id: string | null;
  stored_key: string | null;
}
