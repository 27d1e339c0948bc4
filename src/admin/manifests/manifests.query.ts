import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import type { Digest } from '../../oci/digest.js';
import { ManifestUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';
import { ReferencesQuery, type References } from './references.query.js';

/** A manifest with the tags that point at it. */
export interface ManifestSummary {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly subject: Digest | null;
  readonly sizeBytes: number;
  readonly createdAt: Date;
  readonly createdBy: string | null;
  readonly tags: Tag[];
  readonly tagCount: number;
}

export interface ManifestDetails extends ManifestSummary {
  readonly annotations: Record<string, string> | null;
  readonly references: References;
}

/** Maximum number of tags returned per manifest, in a list and in details. `tagCount` counts all. */
const TAGS_IN_LIST = 20;
const TAGS_IN_DETAILS = 1_000;

/** `$1` is the maximum number of tags. `pg` returns `float8` as a number. */
const COLUMNS = `
  m.digest, m.media_type AS "mediaType", m.artifact_type AS "artifactType", m.subject_digest AS subject,
  m.size_bytes AS "sizeBytes", m.created_at AS "createdAt", m.created_by AS "createdBy",
  ARRAY(SELECT t.name FROM tags t WHERE t.manifest_id = m.id ORDER BY t.name LIMIT $1) AS tags,
  (SELECT count(*)::float8 FROM tags t WHERE t.manifest_id = m.id) AS "tagCount"`;

const PAGE = `
  SELECT ${COLUMNS}
    FROM (SELECT * FROM manifests WHERE repository_id = $2 AND digest > $3 ORDER BY digest LIMIT $4) AS m
   ORDER BY m.digest`;

const ONE = `
  SELECT m.id, m.annotations, ${COLUMNS}
    FROM manifests m
   WHERE m.repository_id = $2 AND m.digest = $3`;

/** Reads manifests for the admin API. */
@Injectable()
export class ManifestsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoriesQuery,
    private readonly references: ReferencesQuery,
  ) {}

  /** The repository's manifests, sorted by digest. @throws NameUnknownError */
  async list(
    repository: RepositoryName,
    { after, limit }: PageRequest<Digest>,
  ): Promise<Page<ManifestSummary>> {
    const repositoryId = await this.repositories.idOf(repository);
    return this.lists.page(PAGE, [TAGS_IN_LIST, repositoryId, after ?? ''], limit);
  }

  /** @throws NameUnknownError, ManifestUnknownError */
  async get(repository: RepositoryName, digest: Digest): Promise<ManifestDetails> {
    const repositoryId = await this.repositories.idOf(repository);
    const [row] = await this.lists.run<Omit<ManifestDetails, 'references'> & { id: string }>(ONE, [
      TAGS_IN_DETAILS,
      repositoryId,
      digest,
    ]);
    if (row === undefined) throw new ManifestUnknownError(digest);
    const { id, ...manifest } = row;
    return { ...manifest, references: await this.references.of({ repositoryId, manifestId: id }) };
  }
}
