import { Injectable } from '@nestjs/common';
import { ListQueries } from '../../database/list-queries.js';
import type { Page } from '../../database/page.js';
import type { TagEventKind } from '../../events/events.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import type { Sorted } from '../paging/sorted-cursor.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';
import { eventStatement, type EventsRequest } from './event-statement.js';

export interface TagEvent extends Sorted {
  readonly id: string;
  readonly tag: Tag;
  readonly kind: TagEventKind;
  readonly fromDigest: Digest | null;
  readonly toDigest: Digest | null;
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly happenedAt: Date;
}

const COLUMNS = `
  e.tag,
  CASE WHEN e.from_digest IS NULL THEN 'created' WHEN e.to_digest IS NULL THEN 'deleted' ELSE 'moved' END AS kind,
  e.from_digest AS "fromDigest", e.to_digest AS "toDigest", e.actor, e.client_address AS "clientAddress",
  e.happened_at AS "happenedAt"`;

const OF_REPOSITORY = eventStatement(COLUMNS, 'tag_events', 'e.repository_id = $1', 1);
const OF_TAG = eventStatement(COLUMNS, 'tag_events', 'e.repository_id = $1 AND e.tag = $2', 2);

/** Reads events of tags for the admin API. */
@Injectable()
export class TagEventsQuery {
  constructor(
    private readonly lists: ListQueries,
    private readonly repositories: RepositoriesQuery,
  ) {}

  /** The events of all tags of the repository, newest first. @throws NameUnknownError */
  async ofRepository(repository: RepositoryName, request: EventsRequest): Promise<Page<TagEvent>> {
    const filters = [await this.repositories.idOf(repository)];
    return this.lists.page(OF_REPOSITORY.sql, OF_REPOSITORY.parameters(filters, request), request.limit);
  }

  /** The events of a tag, newest first, also after its deletion. @throws NameUnknownError */
  async ofTag(repository: RepositoryName, tag: Tag, request: EventsRequest): Promise<Page<TagEvent>> {
    const filters = [await this.repositories.idOf(repository), tag];
    return this.lists.page(OF_TAG.sql, OF_TAG.parameters(filters, request), request.limit);
  }
}
