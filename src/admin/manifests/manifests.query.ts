import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page } from '../../database/page.js';
import type { Digest } from '../../oci/digest.js';
import { ManifestUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import { bytesColumn, type Position, sortedStatements, sortsBy, timeColumn } from '../paging/sort.js';
import type { Sorted } from '../paging/sorted-cursor.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';
import { ImagePlatforms } from './image-platforms.js';
import { ReferencesQuery, type References } from './references.query.js';

export const MANIFEST_SORTS = sortsBy(['digest', 'pushedAt', 'size']);
export type ManifestSort = (typeof MANIFEST_SORTS)[number];

/** A manifest with the tags that point at it. */
export interface ManifestSummary {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly subject: Digest | null;
  readonly platforms: string[];
  readonly sizeBytes: number;
  readonly manifestSizeBytes: number;
  readonly pushedAt: Date;
  readonly pushedBy: string | null;
  readonly clientAddress: string | null;
  readonly tags: Tag[];
  readonly tagCount: number;
}

export interface ManifestDetails extends ManifestSummary {
  readonly annotations: Record<string, string> | null;
  readonly references: References;
}

type Row<Manifest extends ManifestSummary> = Omit<Manifest, 'platforms' | 'references'> & { id: string };

/** Maximum number of tags returned per manifest, in a list and in details. */
const TAGS_IN_LIST = 20;
const TAGS_IN_DETAILS = 1_000;
/** Maximum number of tags counted per manifest. A manifest may have any number. */
const TAGS_COUNTED = 1_000;

/** `$1` is the maximum number of tags. `pg` returns `float8` as a number. */
const COLUMNS = `
  m.id, m.digest, m.media_type AS "mediaType", m.artifact_type AS "artifactType", m.subject_digest AS subject,
  m.image_size_bytes::float8 AS "sizeBytes", m.size_bytes AS "manifestSizeBytes",
  m.created_at AS "pushedAt", m.created_by AS "pushedBy", m.client_address AS "clientAddress",
  ARRAY(SELECT t.name FROM tags t WHERE t.manifest_id = m.id ORDER BY t.name LIMIT $1) AS tags,
  (SELECT count(*)::int FROM (SELECT FROM tags t WHERE t.manifest_id = m.id LIMIT ${TAGS_COUNTED}) AS counted)
    AS "tagCount"`;

/** All digests sort before `~`. */
const PAGES = sortedStatements(
  { column: 'm.digest', before: '', after: '~' },
  { digest: undefined, pushedAt: timeColumn('m.created_at'), size: bytesColumn('m.image_size_bytes') },
  3,
  ({ after, by, value, limit }) => `
  SELECT ${COLUMNS}, ${value} AS "sortValue"
    FROM (SELECT * FROM live_manifests m
           WHERE m.repository_id = $2 AND ${after} ORDER BY ${by} LIMIT ${limit}) AS m
   ORDER BY ${by}`,
);

const ONE = `
  SELECT m.annotations, ${COLUMNS}
    FROM live_manifests m
   WHERE m.repository_id = $2 AND m.digest = $3`;

/** Reads manifests for the admin API. */
@Injectable()
export class ManifestsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoriesQuery,
    private readonly references: ReferencesQuery,
    private readonly platforms: ImagePlatforms,
  ) {}

  /** A page of the repository's manifests. @throws NameUnknownError */
  async list(
    repository: RepositoryName,
    { sort, after, limit }: { sort: ManifestSort; after: Position<Digest> | undefined; limit: number },
  ): Promise<Page<ManifestSummary & Sorted>> {
    const repositoryId = await this.repositories.idOf(repository);
    const { sql, parameters } = PAGES[sort];
    const page = await this.lists.page<Row<ManifestSummary> & Sorted>(
      sql,
      [TAGS_IN_LIST, repositoryId, ...parameters(after)],
      limit,
    );
    const platforms = await this.platforms.of(repository, page.items);
    const items = page.items.map(({ id: _, ...manifest }) => ({
      ...manifest,
      platforms: platforms.get(manifest.digest) ?? [],
    }));
    return { ...page, items };
  }

  /** @throws NameUnknownError, ManifestUnknownError */
  async get(repository: RepositoryName, digest: Digest): Promise<ManifestDetails> {
    const repositoryId = await this.repositories.idOf(repository);
    const parameters = [TAGS_IN_DETAILS, repositoryId, digest];
    const [row] = await this.lists.run<Row<ManifestDetails>>(ONE, parameters);
    if (row === undefined) throw new ManifestUnknownError(digest);
    const { id, ...manifest } = row;
    const [platforms, references] = await Promise.all([
      this.platforms.of(repository, [row]),
      this.references.of({ repositoryId, manifestId: id }),
    ]);
    return { ...manifest, platforms: platforms.get(digest) ?? [], references };
  }
}
