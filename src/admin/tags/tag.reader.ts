import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import type { KeysetPage } from '../paging/page.js';
import { RepositoryReader } from '../repositories/repository.reader.js';

/** A tag with what it points at. */
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
export class TagReader {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoryReader,
  ) {}

  /** The page's rows in the order of their names, and one more where there is one. @throws NameUnknownError */
  async list(repository: RepositoryName, { after, limit }: KeysetPage<Tag>): Promise<TagSummary[]> {
    const repositoryId = await this.repositories.idOf(repository);
    return this.lists.run(PAGE, [repositoryId, after ?? '', limit + 1]);
  }
}
