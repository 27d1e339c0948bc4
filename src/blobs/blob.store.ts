import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { AuditOrigin } from '../audit/audit-event.js';
import { auditInsertion, auditParameters } from '../audit/audit-insertion.js';
import { advisoryLockKey } from '../database/advisory-lock.js';
import { READS } from '../database/connection/connections.js';
import { BatchLoader } from '../database/batch-loader.js';
import { queryRows } from '../database/query-rows.js';
import type { Transaction, UnitOfWork } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { NameRange } from '../oci/name-range.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';

/** The constraint that protects a link while a manifest of the repository refers to its blob. */
export const NEEDED_LINK = 'manifest_blobs_repository_id_blob_id_fkey';

/** A blob and its object. */
export interface BlobRecord {
  readonly id: string;
  readonly sizeBytes: number;
  readonly objectKey: ObjectKey;
}

/** A blob as Postgres returns it. */
export interface BlobRow {
  id: string;
  size_bytes: string;
  object_key: string;
}

/** The result of deleting a link. If there was no link, `deleted` is false and `neededBy` undefined. */
export interface Unlinked {
  readonly deleted: boolean;
  /** The digest of a manifest that refers to the blob. */
  readonly neededBy: Digest | undefined;
}

/** A mount, as the audit log has it. */
export interface Mount {
  readonly target: RepositoryName;
  readonly source: RepositoryName;
  readonly digest: Digest;
  readonly origin: AuditOrigin;
}

interface LinkedBlob {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

// One index lookup per key: LATERAL and LIMIT force this plan, whatever the planner estimates. The repository
// is a subquery, here and below: with a join, the planner read every repository that links the blob.
const FIND_LINKED = `
  SELECT w.n, found.*
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (repository, digest, n)
   CROSS JOIN LATERAL (SELECT b.id, b.size_bytes, b.object_key
                         FROM blob_digests d
                         JOIN blobs b ON b.id = d.blob_id
                         JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = (
                                SELECT id FROM repositories WHERE name = w.repository COLLATE "C")
                        WHERE d.digest = w.digest COLLATE "C"
                        LIMIT 1) AS found`;

const LINK = `
  WITH linked AS (
    INSERT INTO repository_blobs (repository_id, blob_id) VALUES ($1, $2)
        ON CONFLICT DO NOTHING RETURNING blob_id)
  ${auditInsertion(
    'linked',
    {
      action: 'blob.mount',
      subject: '$3',
      repository: '$4',
      after: `jsonb_build_object('from', $5::text)`,
    },
    6,
  )}`;

/** The rows of blobs, their digests and the links that make them visible. */
@Injectable()
export class BlobStore {
  private readonly linked = new BatchLoader<LinkedBlob, BlobRow>(
    (wanted) => this.loadLinked(wanted),
    ({ repository, digest }) => `${repository} ${digest}`,
  );

  constructor(@Inject(READS) private readonly dataSource: DataSource) {}

  /**
   * The blob with this digest, if the repository links it. Every pull calls this: one indexed query, shared
   * by concurrent reads.
   */
  async findLinked(repository: RepositoryName, digest: Digest): Promise<BlobRecord | undefined> {
    const row = await this.linked.load({ repository, digest });
    // Parsed per read: an invalid row must not fail the other reads of the batch.
    return row && toBlobRecord(row);
  }

  /** The blobs with these digests that the repository links. One query. */
  async findAllLinked(
    repository: RepositoryName,
    digests: readonly Digest[],
  ): Promise<ReadonlyMap<Digest, BlobRecord>> {
    const rows = await this.loadLinked(digests.map((digest) => ({ repository, digest })));
    const found = new Map<Digest, BlobRecord>();
    for (const [index, digest] of digests.entries()) {
      const row = rows[index];
      if (row !== undefined) found.set(digest, toBlobRecord(row));
    }
    return found;
  }

  private async loadLinked(wanted: readonly LinkedBlob[]): Promise<(BlobRow | undefined)[]> {
    const rows = await queryRows<BlobRow & { n: string }>(this.dataSource.manager, FIND_LINKED, [
      wanted.map(({ repository }) => repository),
      wanted.map(({ digest }) => digest),
    ]);
    const found = new Array<BlobRow | undefined>(wanted.length);
    for (const row of rows) found[Number(row.n) - 1] = row;
    return found;
  }

  /** The blob with this digest, in any repository. Its row can't be deleted until the transaction ends. */
  async findForLink(transaction: Transaction, digest: Digest): Promise<BlobRecord | undefined> {
    const rows = await queryRows<BlobRow>(
      transaction,
      `SELECT b.id, b.size_bytes, b.object_key
         FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
        WHERE d.digest = $1
          FOR KEY SHARE OF b`,
      [digest],
    );
    return rows[0] && toBlobRecord(rows[0]);
  }

  /** Whether the object belongs to a blob, or is displaced. */
  async usesObject(objectKey: ObjectKey): Promise<boolean> {
    const sql = `SELECT 1 FROM blobs WHERE object_key = $1
                  UNION ALL
                 SELECT 1 FROM displaced_objects WHERE object_key = $1`;
    return (await queryRows(this.dataSource.manager, sql, [objectKey])).length > 0;
  }

  /**
   * A repository within `ranges` that links the blob. Looks at the first `limit` links only: of a blob that
   * nearly all repositories have, there may be millions.
   *
   * @param ranges sorted, and without overlaps: each name is looked up by bisection, since a caller may have
   *   a thousand of them.
   */
  async repositoryWith(
    digest: Digest,
    ranges: readonly NameRange[],
    limit: number,
  ): Promise<RepositoryName | undefined> {
    const [row] = await queryRows<{ name: RepositoryName }>(
      this.dataSource.manager,
      `SELECT r.name
         FROM (SELECT repository_id FROM repository_blobs
                WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1)
                ORDER BY repository_id
                LIMIT $4) AS l
         JOIN repositories r ON r.id = l.repository_id
        WHERE r.name < ($3::text[])[width_bucket(r.name COLLATE "C", $2::text[])]
        LIMIT 1`,
      [digest, ranges.map(({ from }) => from), ranges.map(({ to }) => to), limit],
    );
    return row?.name;
  }

  /** Serialises commits of the same content: holds its lock until the transaction ends. */
  async lockContent(transaction: Transaction, canonical: Digest): Promise<void> {
    const sql = `SELECT pg_advisory_xact_lock(${advisoryLockKey('content', '$1')})`;
    await queryRows(transaction, sql, [canonical]);
  }

  /** Like `lockContent`, by the id of the blob. */
  async lockContentOf(transaction: Transaction, blobId: string): Promise<void> {
    const sql = `SELECT digest FROM blob_digests WHERE blob_id = $1 AND digest LIKE 'sha256:%'`;
    const [row] = await queryRows<{ digest: Digest }>(transaction, sql, [blobId]);
    if (row !== undefined) await this.lockContent(transaction, row.digest);
  }

  /** Links the blob, and records a mount in the audit log if the repository did not have it. */
  async link(transaction: Transaction, repositoryId: string, blobId: string, mount: Mount): Promise<void> {
    const { target, source, digest, origin } = mount;
    await queryRows(transaction, LINK, [
      repositoryId,
      blobId,
      digest,
      target,
      source,
      ...auditParameters(origin),
    ]);
  }

  /**
   * Deletes the link and records that in the audit log, unless a manifest of the repository refers to the
   * blob, even if it was pushed before the blob. The blob's row and object remain.
   *
   * @throws an error that violates `NEEDED_LINK` if such a manifest is pushed at the same time.
   */
  async unlink(
    unitOfWork: UnitOfWork,
    repository: RepositoryName,
    digest: Digest,
    origin: AuditOrigin,
  ): Promise<Unlinked> {
    const [row] = await unitOfWork.statement<{ deleted: boolean; manifest: Digest | null }>(
      // The foreign key refuses it as well, but reads all manifests that refer to the blob; this reads one.
      // The key does not know manifests that were pushed before the blob.
      `WITH link AS (
         SELECT repository_id, blob_id FROM repository_blobs
          WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
            AND blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)),
       referring AS (
         SELECT m.digest
           FROM link CROSS JOIN LATERAL (
                  (SELECT manifest_id FROM manifest_blobs b
                    WHERE b.blob_id = link.blob_id AND b.repository_id = link.repository_id LIMIT 1)
                   UNION ALL
                  (SELECT missing.manifest_id
                     FROM blob_digests d
                    CROSS JOIN LATERAL (
                            SELECT r.manifest_id
                              FROM manifest_missing_references r
                             CROSS JOIN LATERAL (
                                     SELECT FROM manifests
                                      WHERE id = r.manifest_id AND repository_id = link.repository_id
                                      LIMIT 1) AS own
                             WHERE r.digest = d.digest
                             LIMIT 1) AS missing
                    WHERE d.blob_id = link.blob_id
                    LIMIT 1)
                  LIMIT 1) AS referring
           JOIN manifests m ON m.id = referring.manifest_id),
       unlinked AS (
         DELETE FROM repository_blobs l USING link
          WHERE l.repository_id = link.repository_id AND l.blob_id = link.blob_id
            AND NOT EXISTS (SELECT FROM referring)
         RETURNING l.blob_id),
       event AS (${auditInsertion('unlinked', { action: 'blob.delete', subject: '$2', repository: '$1' }, 3)})
       SELECT EXISTS (SELECT FROM unlinked) AS deleted, (SELECT digest FROM referring) AS manifest`,
      [repository, digest, ...auditParameters(origin)],
      [repository],
    );
    return { deleted: row?.deleted === true, neededBy: row?.manifest ?? undefined };
  }
}

export function toBlobRecord(row: BlobRow): BlobRecord {
  return { id: row.id, sizeBytes: Number(row.size_bytes), objectKey: parseObjectKey(row.object_key) };
}
