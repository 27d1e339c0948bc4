import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { advisoryLockKey } from '../database/advisory-lock.js';
import { READS } from '../database/connection/connections.js';
import { BatchLoader } from '../database/batch-loader.js';
import { queryRows } from '../database/query-rows.js';
import type { Transaction, UnitOfWork } from '../database/unit-of-work.js';
import type { Digest } from '../oci/digest.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';

/**
 * The constraint that keeps a link from being deleted while a manifest of the repository refers to its blob.
 */
export const NEEDED_LINK = 'manifest_blobs_repository_id_blob_id_fkey';

/** A blob as a repository shows it. */
export interface BlobRecord {
  readonly id: string;
  readonly sizeBytes: number;
  readonly objectKey: ObjectKey;
}

/** A blob as Postgres answers it. */
export interface BlobRow {
  id: string;
  size_bytes: string;
  object_key: string;
}

/** What became of a link that was to be deleted. Neither: there was none. */
export interface Unlinked {
  readonly deleted: boolean;
  /** The digest of a manifest that keeps it. */
  readonly neededBy: Digest | undefined;
}

interface LinkedBlob {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

// One look at the indexes for each wanted key: LATERAL and LIMIT leave the planner no other way, however it
// estimates. The repository is looked up by itself, here and below: where it was joined, the planner came to
// it through every repository that links the blob.
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

/** The rows of blobs, their digests and the links that make them visible. */
@Injectable()
export class BlobStore {
  private readonly linked = new BatchLoader<LinkedBlob, BlobRow>(
    (wanted) => this.loadLinked(wanted),
    ({ repository, digest }) => `${repository} ${digest}`,
  );

  constructor(@Inject(READS) private readonly dataSource: DataSource) {}

  /**
   * The blob with this digest, if the repository links it. One indexed query, shared by reads of the moment:
   * the path of every pull.
   */
  async findLinked(repository: RepositoryName, digest: Digest): Promise<BlobRecord | undefined> {
    const row = await this.linked.load({ repository, digest });
    // Here and not for the batch: a row that can't be read is the trouble of those who asked for it.
    return row && toBlobRecord(row);
  }

  /** Those of the digests that are blobs of the repository. One query, whatever their number. */
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

  /** The blob with this digest, whoever links it, kept from being collected until the transaction ends. */
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

  /** Whether a blob has its bytes there, or had them there and may have them there again. */
  async usesObject(objectKey: ObjectKey): Promise<boolean> {
    const sql = `SELECT 1 FROM blobs WHERE object_key = $1
                  UNION ALL
                 SELECT 1 FROM displaced_objects WHERE object_key = $1`;
    return (await queryRows(this.dataSource.manager, sql, [objectKey])).length > 0;
  }

  /** Some repositories that link the blob, `limit` at the most. */
  async repositoriesWith(digest: Digest, limit: number): Promise<RepositoryName[]> {
    const rows = await queryRows<{ name: RepositoryName }>(
      this.dataSource.manager,
      `SELECT r.name
         FROM (SELECT repository_id FROM repository_blobs
                WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1)
                ORDER BY repository_id
                LIMIT $2) AS l
         JOIN repositories r ON r.id = l.repository_id
        ORDER BY l.repository_id`,
      [digest, limit],
    );
    return rows.map((row) => row.name);
  }

  /** Makes all commits of one content take turns, until the transaction ends. */
  async lockContent(transaction: Transaction, canonical: Digest): Promise<void> {
    const sql = `SELECT pg_advisory_xact_lock(${advisoryLockKey('content', '$1')})`;
    await queryRows(transaction, sql, [canonical]);
  }

  /** The same by a blob of the content. */
  async lockContentOf(transaction: Transaction, blobId: string): Promise<void> {
    const sql = `SELECT digest FROM blob_digests WHERE blob_id = $1 AND digest LIKE 'sha256:%'`;
    const [row] = await queryRows<{ digest: Digest }>(transaction, sql, [blobId]);
    if (row !== undefined) await this.lockContent(transaction, row.digest);
  }

  async link(transaction: Transaction, repositoryId: string, blobId: string): Promise<void> {
    const sql =
      'INSERT INTO repository_blobs (repository_id, blob_id) VALUES ($1, $2) ON CONFLICT DO NOTHING';
    await queryRows(transaction, sql, [repositoryId, blobId]);
  }

  /**
   * Deletes the link, unless a manifest of the repository refers to the blob. The blob's row and its bytes
   * stay.
   *
   * @throws an error that violates `NEEDED_LINK` where such a manifest is pushed at the same time.
   */
  async unlink(unitOfWork: UnitOfWork, repository: RepositoryName, digest: Digest): Promise<Unlinked> {
    const [row] = await unitOfWork.statement<{ deleted: boolean; manifest: Digest | null }>(
      // The foreign key would refuse it as well. It looks at all manifests that refer to the blob, and this
      // at one.
      `WITH link AS (
         SELECT repository_id, blob_id FROM repository_blobs
          WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
            AND blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)),
       needing AS (
         SELECT m.digest
           FROM link CROSS JOIN LATERAL (
                  SELECT manifest_id FROM manifest_blobs b
                   WHERE b.blob_id = link.blob_id AND b.repository_id = link.repository_id LIMIT 1) AS b
           JOIN manifests m ON m.id = b.manifest_id),
       gone AS (
         DELETE FROM repository_blobs l USING link
          WHERE l.repository_id = link.repository_id AND l.blob_id = link.blob_id
            AND NOT EXISTS (SELECT FROM needing)
         RETURNING l.blob_id)
       SELECT EXISTS (SELECT FROM gone) AS deleted, (SELECT digest FROM needing) AS manifest`,
      [repository, digest],
      repository,
    );
    return { deleted: row?.deleted === true, neededBy: row?.manifest ?? undefined };
  }
}

export function toBlobRecord(row: BlobRow): BlobRecord {
  return { id: row.id, sizeBytes: Number(row.size_bytes), objectKey: parseObjectKey(row.object_key) };
}
