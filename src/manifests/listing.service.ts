import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { RepositoryStore } from '../repositories/repository.store.js';
import { READS } from '../database/connection/connections.js';
import { ListQueries } from '../database/list-queries.js';
import type { Page, PageRequest } from '../database/page.js';
import type { Digest } from '../oci/digest.js';
import { NameUnknownError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';

/** A manifest that names a subject, as the referrers list shows it. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType: string | null;
  /** An object, as JSON text: parsing and serialising a page of them would take long. */
  readonly annotations: string | null;
}

/** Maximum size of the annotations in a page of referrers. The first referrer is always returned. */
const REFERRERS_PAGE_BYTES = 4 * 1024 * 1024;

/** The lists of the distribution spec, sorted by bytes. Each page is one range of one index. */
@Injectable()
export class ListingService {
  constructor(
    private readonly lists: ListQueries,
    @Inject(READS) private readonly reads: DataSource,
    private readonly repositories: RepositoryStore,
  ) {}

  /** Names of tags. @throws NameUnknownError */
  async tags(repository: RepositoryName, { after, limit }: PageRequest): Promise<Page<string>> {
    const repositoryId = await this.repositories.find(this.reads.manager, repository);
    if (repositoryId === undefined) throw new NameUnknownError(repository);
    const sql = 'SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3';
    const { items, more } = await this.lists.page<{ name: string }>(sql, [repositoryId, after ?? ''], limit);
    return { items: items.map(({ name }) => name), more };
  }

  /**
   * Manifests of the repository whose subject is `subject`, sorted by digest (spec.md, "Listing Referrers").
   * The subject need not exist. An unknown repository has no referrers.
   */
  async referrers(
    repository: RepositoryName,
    subject: Digest,
    artifactType: string | undefined,
    { after, limit }: PageRequest,
  ): Promise<Page<Referrer>> {
    // Two statements for two indexes: one statement with an optional filter would read every referrer.
    const filter = artifactType === undefined ? '' : 'AND artifact_type = $6';
    const filters = artifactType === undefined ? [] : [artifactType];
    const rows = await this.lists.run<Referrer & { fits: boolean }>(
      `SELECT "mediaType", digest, size, "artifactType",
              CASE WHEN fits THEN annotations::text END AS annotations, fits
         FROM (SELECT media_type AS "mediaType", digest, size_bytes AS size, artifact_type AS "artifactType",
                      annotations, row_number() OVER list = 1
                        OR sum(coalesce(octet_length(annotations::text), 0)) OVER list <= $5 AS fits
                 FROM live_manifests
                WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
                  AND subject_digest = $2 AND digest > $3 ${filter}
               WINDOW list AS (ORDER BY digest)
                ORDER BY digest
                LIMIT $4) AS page
        ORDER BY digest`,
      [repository, subject, after ?? '', limit + 1, REFERRERS_PAGE_BYTES, ...filters],
    );
    const items = rows.slice(0, limit).filter(({ fits }) => fits);
    return { items, more: rows.length > items.length };
  }
}
