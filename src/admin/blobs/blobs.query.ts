import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { PageRequest } from '../../database/page.js';
import type { Digest } from '../../oci/digest.js';
import { BlobUnknownError } from '../../oci/errors.js';
import type { NameRange } from '../../oci/name-range.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { BlobDigest } from '../../oci/tarsum.js';

export interface BlobSummary {
  readonly digest: Digest;
  readonly digests: BlobDigest[];
  readonly sizeBytes: number;
  readonly linkedAt: Date;
}

export interface BlobRepository {
  readonly name: RepositoryName;
  readonly linkedAt: Date;
}

/** A page, and the id of the repository that the next one begins after. */
export interface BlobRepositories {
  readonly items: BlobRepository[];
  readonly next: string | undefined;
}

/** Links that a page looks at. A blob can be in millions of repositories that the caller may not pull. */
const MAX_SCANNED = 10_000;

/** The first digest is sha256: every blob has one, and it sorts before sha512. */
const ONE = `
  SELECT d.digests[1] AS digest, d.digests || t.tarsums AS digests, b.size_bytes::float8 AS "sizeBytes",
         l.created_at AS "linkedAt"
    FROM repository_blobs l
    JOIN blobs b ON b.id = l.blob_id
   CROSS JOIN LATERAL (SELECT array_agg(digest ORDER BY digest) AS digests
                         FROM blob_digests WHERE blob_id = b.id) AS d
   CROSS JOIN LATERAL (SELECT coalesce(array_agg(tarsum ORDER BY tarsum), '{}') AS tarsums
                         FROM blob_tarsums WHERE blob_id = b.id) AS t
   WHERE l.repository_id = $1 AND l.hidden_at IS NULL
     AND l.blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)`;

/** Returns at least one row, for `last`. The ranges are looked up by bisection, as for mounts. */
const REPOSITORIES = `
  WITH scanned AS (
    SELECT repository_id, hidden_at, created_at FROM repository_blobs
     WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1) AND repository_id > $4
     ORDER BY repository_id LIMIT ${MAX_SCANNED}
  )
  SELECT visible.*, whole.last
    FROM (SELECT CASE WHEN count(*) = ${MAX_SCANNED} THEN max(repository_id)::text END AS last
            FROM scanned) AS whole
    LEFT JOIN (SELECT r.id, r.name, s.created_at AS "linkedAt"
                 FROM scanned s JOIN repositories r ON r.id = s.repository_id
                WHERE s.hidden_at IS NULL
                  AND r.name < ($3::text[])[width_bucket(r.name COLLATE "C", $2::text[])]
                ORDER BY r.id LIMIT $5) AS visible ON true
   ORDER BY visible.id`;

type RepositoryRow = { readonly last: string | null } & (
  { readonly id: string; readonly name: RepositoryName; readonly linkedAt: Date } | { readonly id: null }
);

/** Reads blobs for the admin API. */
@Injectable()
export class BlobsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** @throws BlobUnknownError */
  async get(repositoryId: string, digest: Digest): Promise<BlobSummary> {
    const [blob] = await this.lists.run<BlobSummary>(ONE, [repositoryId, digest]);
    if (blob === undefined) throw new BlobUnknownError(digest);
    return blob;
  }

  /**
   * The repositories within `ranges` that have the blob, in the order in which they were created. A page may
   * have fewer than `limit` and not be the last.
   *
   * @param ranges sorted, and without overlaps.
   */
  async repositories(
    digest: Digest,
    ranges: readonly NameRange[],
    { after = '0', limit }: PageRequest,
  ): Promise<BlobRepositories> {
    const [from, to] = [ranges.map((range) => range.from), ranges.map((range) => range.to)];
    const rows = await this.lists.run<RepositoryRow>(REPOSITORIES, [digest, from, to, after, limit + 1]);
    const visible = rows.flatMap((row) => (row.id === null ? [] : [row]));
    const items = visible.slice(0, limit).map(({ name, linkedAt }) => ({ name, linkedAt }));
    const next = visible.length > limit ? visible[limit - 1]?.id : rows[0]?.last;
    return { items, next: next ?? undefined };
  }
}
