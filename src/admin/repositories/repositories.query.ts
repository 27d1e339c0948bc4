import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page, PageRequest } from '../../database/page.js';
import { NameUnknownError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';

/** A repository with its counts. */
export interface RepositorySummary {
  readonly name: RepositoryName;
  readonly createdAt: Date;
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly blobBytes: number;
}

/** Counts the content of the selected repositories only. `pg` returns `float8` as a number. */
const summaries = (selection: string) => `
  SELECT r.name, r.created_at AS "createdAt",
         (SELECT count(*)::float8 FROM tags t WHERE t.repository_id = r.id) AS tags,
         (SELECT count(*)::float8 FROM live_manifests m WHERE m.repository_id = r.id) AS manifests,
         linked.blobs, linked."blobBytes"
    FROM (SELECT id, name, created_at FROM repositories ${selection}) AS r
   CROSS JOIN LATERAL (
           SELECT count(*)::float8 AS blobs, coalesce(sum(b.size_bytes), 0)::float8 AS "blobBytes"
             FROM repository_blobs l JOIN blobs b ON b.id = l.blob_id
            WHERE l.repository_id = r.id AND l.hidden_at IS NULL) AS linked
   ORDER BY r.name`;

/** All names with the prefix sort before the prefix with a `~`, which sorts after all characters of names. */
const PAGE = summaries(`WHERE name > $1 AND name >= $2 AND name < $2 || '~' ORDER BY name LIMIT $3`);
const ONE = summaries('WHERE name = $1');

/** Reads repositories for the admin API. */
@Injectable()
export class RepositoriesQuery {
  constructor(private readonly lists: ListQueries) {}

  /** The repositories whose names start with `prefix`, sorted by name. */
  list(prefix: string, { after, limit }: PageRequest<RepositoryName>): Promise<Page<RepositorySummary>> {
    return this.lists.page(PAGE, [after ?? '', prefix], limit);
  }

  /** @throws NameUnknownError */
  async get(name: RepositoryName): Promise<RepositorySummary> {
    const [repository] = await this.lists.run<RepositorySummary>(ONE, [name]);
    if (repository === undefined) throw new NameUnknownError(name, hintAbout(name));
    return repository;
  }

  /** The row's id. @throws NameUnknownError */
  async idOf(name: RepositoryName): Promise<string> {
    const [row] = await this.lists.run<{ id: string }>('SELECT id FROM repositories WHERE name = $1', [name]);
    if (row === undefined) throw new NameUnknownError(name);
    return row.id;
  }
}

/** Says what was expected if the name looks like the path of a manifest or a tag. */
function hintAbout(name: RepositoryName): string {
  const [, list] = /\/(manifests|blobs|tags)\/[^/]+$/.exec(name) ?? [];
  if (list === 'manifests') return '. For a manifest, expected its digest after /manifests/, not a tag';
  if (list === 'blobs') return '. For a blob, expected its digest after /blobs/';
  if (list === 'tags') return '. For tags, expected …/tags or …/tags/<tag>/events';
  return '';
}
