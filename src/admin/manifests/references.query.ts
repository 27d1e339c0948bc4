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

/** The references of a manifest, at most `MANIFEST_MAX_REFERENCES`. */
export interface References {
  readonly blobs: BlobReference[];
  readonly manifests: ChildManifest[];
  readonly missing: Digest[];
}

interface ManifestRow {
  readonly repositoryId: string;
  readonly manifestId: string;
}

/** The first digest is sha256: every blob has one, and it sorts before sha512. */
const BLOBS = `
  SELECT d.digests[1] AS digest, d.digests, b.size_bytes::float8 AS "sizeBytes",
         l.blob_id IS NOT NULL AS linked
    FROM manifest_blobs r
    JOIN blobs b ON b.id = r.blob_id
    LEFT JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = $2
   CROSS JOIN LATERAL (
           SELECT array_agg(digest ORDER BY digest) AS digests FROM blob_digests WHERE blob_id = b.id) AS d
   WHERE r.manifest_id = $1
   ORDER BY digest`;

const CHILDREN = `
  SELECT m.digest, m.media_type AS "mediaType", m.image_size_bytes::float8 AS "sizeBytes",
         m.size_bytes AS "manifestSizeBytes"
    FROM manifest_children r JOIN manifests m ON m.id = r.child_id
   WHERE r.parent_id = $1
   ORDER BY m.digest`;

const MISSING = 'SELECT digest FROM manifest_missing_references WHERE manifest_id = $1 ORDER BY digest';

/** Reads the references of manifests for the admin API. */
@Injectable()
export class ReferencesQuery {
  constructor(private readonly lists: ListQueries) {}

  async of({ repositoryId, manifestId }: ManifestRow): Promise<References> {
    const [blobs, manifests, missing] = await Promise.all([
      this.lists.run<BlobReference>(BLOBS, [manifestId, repositoryId]),
      this.lists.run<ChildManifest>(CHILDREN, [manifestId]),
      this.lists.run<{ digest: Digest }>(MISSING, [manifestId]),
    ]);
    return { blobs, manifests, missing: missing.map(({ digest }) => digest) };
  }
}
