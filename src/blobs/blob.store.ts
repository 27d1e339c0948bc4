import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { AuditOrigin } from '../audit/audit-event.js';
import { auditParameters, fromOrigin } from '../audit/audit-insertion.js';
import { advisoryLockKey } from '../database/advisory-lock.js';
import { READS } from '../database/connection/connections.js';
import { Configuration } from '../config/configuration.js';
import { BatchLoader } from '../database/batch-loader.js';
import { queryRows } from '../database/query-rows.js';
import type { Transaction, UnitOfWork } from '../database/unit-of-work.js';
import { CallOnce } from '../idempotency/call-once.js';
import type { RequestKey } from '../idempotency/request-key.js';
import { CANONICAL_ALGORITHM, type Digest } from '../oci/digest.js';
import type { NameRange } from '../oci/name-range.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Tarsum } from '../oci/tarsum.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';

/** A blob and its object. */
export interface BlobRecord {
  readonly id: string;
  readonly sizeBytes: number;
  readonly objectKey: ObjectKey;
}

/** A blob that a repository links. */
export interface LinkedBlob extends BlobRecord {
  /**
   * Whether the link is a candidate for collection that may go within half of `GC_GRACE_SECONDS`. A response
   * that promises the blob must renew it before.
   */
  readonly isRenewalDue: boolean;
  /** When the repository got the blob, in seconds since 1970. */
  readonly linkedAtSeconds: number;
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
  /** The digest of a live manifest that refers to the blob. */
  readonly neededBy: Digest | undefined;
}

/** A mount, as the audit log has it. */
export interface Mount {
  readonly target: RepositoryName;
  readonly source: RepositoryName;
  readonly digest: Digest;
  readonly origin: AuditOrigin;
  readonly requestKey?: RequestKey | undefined;
}

interface WantedBlob {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

type LinkedRow = BlobRow & { is_renewal_due: boolean; linked_at_seconds: number };

// One index lookup per key: LATERAL and LIMIT force this plan, whatever the planner estimates. The repository
// is a subquery, here and below: with a join, the planner read every repository that links the blob.
const FIND_LINKED = `
  SELECT w.n, found.*
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (repository, digest, n)
   CROSS JOIN LATERAL (SELECT b.id, b.size_bytes, b.object_key,
                              coalesce(l.candidate_since < now() - $3::float8 * interval '1 second', false)
                                AS is_renewal_due,
                              floor(date_part('epoch', l.created_at)) AS linked_at_seconds
                         FROM blob_digests d
                         JOIN blobs b ON b.id = d.blob_id
                         JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = (
                                SELECT id FROM repositories WHERE name = w.repository COLLATE "C")
                        WHERE d.digest = w.digest COLLATE "C" AND l.hidden_at IS NULL
                        LIMIT 1) AS found`;

// Usually one blob has the tarsum.
const FIND_BY_TARSUM = `
  SELECT d.digest
    FROM blob_tarsums t
    JOIN repository_blobs l ON l.blob_id = t.blob_id AND l.hidden_at IS NULL
                           AND l.repository_id = (SELECT id FROM repositories WHERE name = $1)
    JOIN blob_digests d ON d.blob_id = t.blob_id AND d.digest LIKE '${CANONICAL_ALGORITHM}:%'
   WHERE t.tarsum = $2
   ORDER BY l.created_at, l.blob_id
   LIMIT 1`;

// A HEAD does not keep what an operator purges: its link dates from `-infinity`.
const RENEW = `
  UPDATE repository_blobs AS link SET candidate_since = now()
   WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
     AND blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)
     AND hidden_at IS NULL
     AND NOT (candidate_since = '-infinity'
              AND EXISTS (SELECT FROM unneeded_links AS u
                           WHERE u.repository_id = link.repository_id AND u.blob_id = link.blob_id))
  RETURNING blob_id`;

const MOUNT = new CallOnce(`SELECT mount_blob($1, $2, $3, $4) AS mounted ${fromOrigin(5)}`, 'mount_blob', 7);
const UNLINK = new CallOnce(
  `SELECT is_deleted, needed_by ${fromOrigin(4, 'unlink_blob($1, $2, $3)')}`,
  'unlink_blob',
  6,
);

/**
 * The rows of blobs, their digests and the links that make them visible. A link that is hidden makes nothing
 * visible: the blob was deleted, and only deleted manifests need it.
 */
@Injectable()
export class BlobStore {
  private readonly linked = new BatchLoader<WantedBlob, LinkedRow>(
    (wanted) => this.loadLinked(wanted),
    ({ repository, digest }) => `${repository} ${digest}`,
  );

  constructor(
    @Inject(READS) private readonly dataSource: DataSource,
    private readonly configuration: Configuration,
  ) {}

  /**
   * The blob with this digest, if the repository links it. Every pull calls this: one indexed query, shared
   * by concurrent reads.
   */
  async findLinked(repository: RepositoryName, digest: Digest): Promise<LinkedBlob | undefined> {
    const row = await this.linked.load({ repository, digest });
    // Parsed per read: an invalid row must not fail the other reads of the batch.
    if (row === undefined) return undefined;
    const { is_renewal_due: isRenewalDue, linked_at_seconds: linkedAtSeconds } = row;
    return { ...toBlobRecord(row), isRenewalDue, linkedAtSeconds };
  }

  /**
   * The sha256 digest of the blob with this tarsum that the repository has linked longest. Other repositories
   * may have other blobs with the same tarsum.
   */
  async findByTarsum(repository: RepositoryName, tarsum: Tarsum): Promise<Digest | undefined> {
    const { manager } = this.dataSource;
    const [row] = await queryRows<{ digest: Digest }>(manager, FIND_BY_TARSUM, [repository, tarsum]);
    return row?.digest;
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

  private async loadLinked(wanted: readonly WantedBlob[]): Promise<(LinkedRow | undefined)[]> {
    const rows = await queryRows<LinkedRow & { n: string }>(this.dataSource.manager, FIND_LINKED, [
      wanted.map(({ repository }) => repository),
      wanted.map(({ digest }) => digest),
      this.configuration.gcGraceSeconds / 2,
    ]);
    const found = new Array<LinkedRow | undefined>(wanted.length);
    for (const row of rows) found[Number(row.n) - 1] = row;
    return found;
  }

  /**
   * Starts the grace of a link again, so that the collector keeps it for `GC_GRACE_SECONDS`. Returns false if
   * the repository does not link the blob any more, or if the blob is being purged.
   */
  async renew(unitOfWork: UnitOfWork, repository: RepositoryName, digest: Digest): Promise<boolean> {
    return (await unitOfWork.statement(RENEW, [repository, digest], [repository])).length > 0;
  }

  /** Whether the object belongs to a blob, or did: then it is displaced, or the collector deletes it. */
  async usesObject(objectKey: ObjectKey): Promise<boolean> {
    const sql = `SELECT 1 FROM blobs WHERE object_key = $1
                  UNION ALL
                 SELECT 1 FROM displaced_objects WHERE object_key = $1
                  UNION ALL
                 SELECT 1 FROM object_deletions WHERE object_key = $1`;
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
         FROM (SELECT repository_id, hidden_at FROM repository_blobs
                WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1)
                ORDER BY repository_id
                LIMIT $4) AS l
         JOIN repositories r ON r.id = l.repository_id
        WHERE l.hidden_at IS NULL
          AND r.name < ($3::text[])[width_bucket(r.name COLLATE "C", $2::text[])]
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

  /**
   * Links a blob of the source into the target, in one statement (`mount_blob`, among the migrations). Renews
   * the link if the target has it, and otherwise records the mount in the audit log. Returns false if the
   * source does not link the blob. A repeat changes nothing.
   */
  async mount(unitOfWork: UnitOfWork, mount: Mount): Promise<boolean> {
    const { target, source, digest, origin, requestKey } = mount;
    const parameters = [source, target, digest, ...auditParameters(origin)];
    const call = MOUNT.with(parameters, requestKey);
    const [row] = await unitOfWork.statement<{ mounted: boolean }>(...call, [target]);
    return row?.mounted === true;
  }

  /**
   * Deletes the link and records that in the audit log, unless a live manifest of the repository refers to
   * the blob, even if it was pushed before the blob. One statement (`unlink_blob`, among the migrations). If
   * deleted manifests refer to it, the link is hidden instead. The blob's row and object remain. A repeat
   * changes nothing, and is `deleted`.
   */
  async unlink(
    unitOfWork: UnitOfWork,
    repository: RepositoryName,
    digest: Digest,
    origin: AuditOrigin,
    requestKey?: RequestKey,
  ): Promise<Unlinked> {
    const [row] = await unitOfWork.statement<{ is_deleted: boolean; needed_by: Digest | null }>(
      ...UNLINK.with([repository, digest, ...auditParameters(origin)], requestKey),
      [repository],
    );
    return { deleted: row?.is_deleted === true, neededBy: row?.needed_by ?? undefined };
  }
}

export function toBlobRecord(row: BlobRow): BlobRecord {
  return { id: row.id, sizeBytes: Number(row.size_bytes), objectKey: parseObjectKey(row.object_key) };
}
