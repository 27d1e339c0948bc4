import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Digest } from '../../oci/digest.js';

export interface BlobReference {
  readonly digest: Digest;
  readonly digests: Digest[];
  readonly sizeBytes: number;
  readonly linked: boolean;
}

export interface ChildManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly manifestSizeBytes: number;
}

interface Counts {
  readonly blobCount: number;
  readonly manifestCount: number;
  readonly missingCount: number;
}

/** The references of a manifest: at most `MAX_LISTED` of each kind, and how many there are. */
export interface References extends Counts {
  readonly blobs: BlobReference[];
  readonly manifests: ChildManifest[];
  readonly missing: Digest[];
}

interface ManifestRow {
  readonly repositoryId: string;
  readonly manifestId: string;
}

/** A manifest may have more than 100,000. */
const MAX_LISTED = 1_000;

/** The first digest is sha256: every blob has one, and it sorts before sha512. */
const BLOBS = `
  SELECT d.digests[1] AS digest, d.digests, b.size_bytes::float8 AS "sizeBytes",
         l.blob_id IS NOT NULL AND l.hidden_at IS NULL AS linked
    FROM (SELECT blob_id FROM manifest_blobs WHERE manifest_id = $1 ORDER BY blob_id LIMIT ${MAX_LISTED}) AS r
    JOIN blobs b ON b.id = r.blob_id
    LEFT JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = $2 AND l.hidden_at IS NULL
   CROSS JOIN LATERAL (
           SELECT array_agg(digest ORDER BY digest) AS digests FROM blob_digests WHERE blob_id = b.id) AS d
   ORDER BY digest`;

const CHILDREN = `
  SELECT m.digest, m.media_type AS "mediaType", m.image_size_bytes::float8 AS "sizeBytes",
         m.size_bytes AS "manifestSizeBytes"
    FROM (SELECT child_id FROM manifest_children
           WHERE parent_id = $1 ORDER BY child_id LIMIT ${MAX_LISTED}) AS r
    JOIN live_manifests m ON m.id = r.child_id
   ORDER BY m.digest`;

const MISSING = `
  SELECT digest FROM manifest_missing_references WHERE manifest_id = $1 ORDER BY digest LIMIT ${MAX_LISTED}`;

/** `pg` returns `float8` as a number. */
const COUNTS = `
  SELECT (SELECT count(*)::float8 FROM manifest_blobs WHERE manifest_id = $1) AS "blobCount",
         (SELECT count(*)::float8 FROM manifest_children WHERE parent_id = $1) AS "manifestCount",
         (SELECT count(*)::float8 FROM manifest_missing_references WHERE manifest_id = $1) AS "missingCount"`;

/** Reads the references of manifests for the admin API. */
@Injectable()
export class ReferencesQuery {
  constructor(private readonly lists: ListQueries) {}

  async of({ repositoryId, manifestId }: ManifestRow): Promise<References> {
    const [blobs, manifests, missing, [counts]] = await Promise.all([
      this.lists.run<BlobReference>(BLOBS, [manifestId, repositoryId]),
      this.lists.run<ChildManifest>(CHILDREN, [manifestId]),
      this.lists.run<{ digest: Digest }>(MISSING, [manifestId]),
      this.lists.run<Counts>(COUNTS, [manifestId]),
    ]);
    const { blobCount = 0, manifestCount = 0, missingCount = 0 } = counts ?? {};
    const digests = missing.map(({ digest }) => digest);
    return { blobs, blobCount, manifests, manifestCount, missing: digests, missingCount };
  }
}
