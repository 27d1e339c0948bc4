import type { EntityManager } from 'typeorm';
import { queryRows } from '../../src/database/query-rows.js';

export interface TagEvent {
  tag: string;
  from_digest: string | null;
  to_digest: string | null;
}

/** The history of the tags of a repository, oldest first. */
export function tagEvents(manager: EntityManager, repository: string): Promise<TagEvent[]> {
  const sql = `SELECT e.tag, e.from_digest, e.to_digest
                 FROM tag_events e JOIN repositories r ON r.id = e.repository_id
                WHERE r.name = $1 ORDER BY e.id`;
  return queryRows<TagEvent>(manager, sql, [repository]);
}
