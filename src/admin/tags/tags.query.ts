import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';

/** A tag with its manifest. */
export interface TagSummary {
  readonly name: Tag;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly updatedAt: Date;
  readonly updatedBy: string | null;
}

const PAGE = `
  SELECT t.name, m.digest, m.media_type AS "mediaType", m.size_bytes AS "sizeBytes",
         t.updated_at AS "updatedAt", t.updated_by AS "updatedBy"
    FROM tags t JOIN manifests m ON m.id = t.manifest_id
   WHERE t.repository_id = $1 AND t.name > $2
   ORDER BY t.name
   LIMIT $3`;

/** Reads tags for the admin API. */
@Injectable()
export class TagsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoriesQuery,
  ) {}

  /** The repository's tags, sorted by name. @throws NameUnknownError */
  async list(repository: RepositoryName, { after, limit }: PageRequest<Tag>): Promise<Page<TagSummary>> {
    const repositoryId = await this.repositories.idOf(repository);
    return this.lists.page(PAGE, [repositoryId, after ?? ''], limit);
  }
}
