import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import { NameUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';

const SUMS = ['linked', 'exclusive', 'shared', 'restorable', 'unneeded'] as const;

export interface BlobSum {
  readonly blobs: number;
  readonly bytes: number;
}

export type Usage = Readonly<Record<(typeof SUMS)[number], BlobSum>>;

/** Whether a manifest of these needs the blob: it refers to it, or it did when the blob was missing. */
const needs = (which: string) => `
  (EXISTS (SELECT FROM manifest_blobs r JOIN manifests m ON m.id = r.manifest_id
            WHERE r.blob_id = l.blob_id AND r.repository_id = l.repository_id AND ${which})
   OR EXISTS (SELECT FROM blob_digests d
                JOIN manifest_missing_references r ON r.digest = d.digest AND r.repository_id = l.repository_id
                JOIN manifests m ON m.id = r.manifest_id
               WHERE d.blob_id = l.blob_id AND ${which}))`;

const sum = (name: string, condition: string) => `
  count(size_bytes) FILTER (WHERE ${condition})::float8 AS "${name}Blobs",
  coalesce(sum(size_bytes) FILTER (WHERE ${condition}), 0)::float8 AS "${name}Bytes"`;

/** Each link is looked at once. `pg` returns `float8` as a number, exact up to 2^53. */
const USAGE = `
  SELECT r.id,
         ${sum('linked', 'true')}, ${sum('exclusive', 'NOT is_shared')}, ${sum('shared', 'is_shared')},
         ${sum('restorable', 'NOT is_live AND is_deleted')}, ${sum('unneeded', 'NOT is_live AND NOT is_deleted')}
    FROM repositories r
    LEFT JOIN LATERAL (
           SELECT b.size_bytes, live.is_live,
                  NOT live.is_live AND ${needs('m.deletion_id IS NOT NULL')} AS is_deleted,
                  EXISTS (SELECT FROM repository_blobs o
                           WHERE o.blob_id = l.blob_id AND o.repository_id <> l.repository_id) AS is_shared
             FROM repository_blobs l
             JOIN blobs b ON b.id = l.blob_id
            CROSS JOIN LATERAL (SELECT ${needs('m.deletion_id IS NULL')} AS is_live) AS live
            WHERE l.repository_id = r.id) AS link ON true
   WHERE r.name = $1
   GROUP BY r.id`;

/** Reads what repositories use of the storage. */
@Injectable()
export class UsageQuery {
  constructor(private readonly lists: ListQueries) {}

  /** @throws NameUnknownError */
  async get(name: RepositoryName): Promise<Usage> {
    const [row] = await this.lists.run<Record<string, number>>(USAGE, [name]);
    if (row === undefined) throw new NameUnknownError(name);
    const sums = SUMS.map((each) => [each, { blobs: row[`${each}Blobs`], bytes: row[`${each}Bytes`] }]);
    return Object.fromEntries(sums) as Usage;
  }
}
