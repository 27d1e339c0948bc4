import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page } from '../../database/page.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import { ImagePlatforms } from '../manifests/image-platforms.js';
import { bytesColumn, type Position, sortedStatements, sortsBy, timeColumn } from '../paging/sort.js';
import type { Sorted } from '../paging/sorted-cursor.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';

export const TAG_SORTS = sortsBy(['name', 'pushedAt', 'size']);
export type TagSort = (typeof TAG_SORTS)[number];

/** A tag with its manifest. */
export interface TagSummary extends Sorted {
  readonly name: Tag;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly platforms: string[];
  readonly sizeBytes: number;
  readonly manifestSizeBytes: number;
  readonly pushedAt: Date;
  readonly pushedBy: string | null;
  readonly clientAddress: string | null;
}

/** All names sort before `~`. `pg` returns `float8` as a number. */
const PAGES = sortedStatements(
  { column: 't.name', before: '', after: '~' },
  { name: undefined, pushedAt: timeColumn('t.updated_at'), size: bytesColumn('t.image_size_bytes') },
  2,
  ({ after, by, value, limit }) => `
  SELECT t.name, m.digest, m.media_type AS "mediaType", m.artifact_type AS "artifactType",
         t.image_size_bytes::float8 AS "sizeBytes", m.size_bytes AS "manifestSizeBytes",
         t.updated_at AS "pushedAt", t.updated_by AS "pushedBy", move.client_address AS "clientAddress",
         m.id AS "manifestId", ${value} AS "sortValue"
    FROM tags t
    JOIN live_manifests m ON m.id = t.manifest_id
    LEFT JOIN LATERAL (
           SELECT e.client_address FROM tag_events e
            WHERE e.repository_id = t.repository_id AND e.tag = t.name
            ORDER BY e.happened_at DESC, e.id DESC
            LIMIT 1) AS move ON true
   WHERE t.repository_id = $1 AND ${after}
   ORDER BY ${by}
   LIMIT ${limit}`,
);

/** Reads tags for the admin API. */
@Injectable()
export class TagsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoriesQuery,
    private readonly platforms: ImagePlatforms,
  ) {}

  /** A page of the repository's tags. @throws NameUnknownError */
  async list(
    repository: RepositoryName,
    { sort, after, limit }: { sort: TagSort; after: Position<Tag> | undefined; limit: number },
  ): Promise<Page<TagSummary>> {
    const repositoryId = await this.repositories.idOf(repository);
    const { sql, parameters } = PAGES[sort];
    type Row = Omit<TagSummary, 'platforms'> & { manifestId: string };
    const page = await this.lists.page<Row>(sql, [repositoryId, ...parameters(after)], limit);
    const platforms = await this.platforms.of(
      repository,
      page.items.map(({ manifestId: id, digest, manifestSizeBytes }) => ({ id, digest, manifestSizeBytes })),
    );
    const items = page.items.map(({ manifestId: _, ...tag }) => ({
      ...tag,
      platforms: platforms.get(tag.digest) ?? [],
    }));
    return { ...page, items };
  }
}
