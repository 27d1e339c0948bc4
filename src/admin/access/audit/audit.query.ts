import { Injectable } from '@nestjs/common';
import type { AuditAction } from '../../../audit/audit-actions.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page } from '../../../database/page.js';
import { eventStatement, type EventsRequest } from '../../events/event-statement.js';
import type { Sorted } from '../../paging/sorted-cursor.js';

export interface ListedAuditEvent extends Sorted {
  readonly id: string;
  readonly action: AuditAction;
  readonly subject: string | null;
  readonly repository: string | null;
  readonly actor: string | null;
  readonly clientAddress: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
  readonly before: object | null;
  readonly after: object | null;
  readonly happenedAt: Date;
}

export interface AuditFilters {
  readonly actor: string | undefined;
  readonly repository: string | undefined;
  readonly actions: readonly AuditAction[] | undefined;
}

const COLUMNS = `
  e.action, e.subject, e.repository, e.actor, e.client_address AS "clientAddress",
  e.user_agent AS "userAgent", e.request_id AS "requestId", e.before, e.after, e.happened_at AS "happenedAt"`;

/** The statement for filters by these conditions, whose parameters are `$1` and so on. */
const by = (...conditions: readonly string[]) =>
  eventStatement(COLUMNS, 'audit_events', conditions.join(' AND ') || 'true', conditions.length);

const isAction = (parameter: string) => `e.action = ANY (string_to_array(${parameter}, ' '))`;

const OF_ALL = by();
const OF_ACTOR = by('e.actor = $1');
const OF_ACTOR_AND_ACTIONS = by('e.actor = $1', isAction('$2'));
const OF_REPOSITORY = by('e.repository = $1');
const OF_REPOSITORY_AND_ACTIONS = by('e.repository = $1', isAction('$2'));
const OF_REPOSITORY_AND_ACTOR = by('e.repository = $1', 'e.actor = $2');
const OF_REPOSITORY_ACTOR_AND_ACTIONS = by('e.repository = $1', 'e.actor = $2', isAction('$3'));

/** A page of each action, from its own range of the index, and the newest of them. */
const OF_ACTIONS = ofEachAction(by('e.action = wanted.action COLLATE "C"'));

function ofEachAction({ sql, limit, parameters }: ReturnType<typeof by>): ReturnType<typeof by> {
  const merged = `
    SELECT newest.*
      FROM unnest(string_to_array($1, ' ')) AS wanted (action)
     CROSS JOIN LATERAL (${sql}) AS newest
     ORDER BY "happenedAt" DESC, id DESC
     LIMIT ${limit}`;
  return { sql: merged, limit, parameters };
}

/** Reads the audit log for the admin API. */
@Injectable()
export class AuditQuery {
  constructor(private readonly lists: ListQueries) {}

  /** Events that match all filters, newest first. */
  list(filters: AuditFilters, request: EventsRequest): Promise<Page<ListedAuditEvent>> {
    const { sql, parameters } = statementOf(filters);
    const actions = filters.actions?.join(' ');
    const values = [filters.repository, filters.actor, actions].filter((value) => value !== undefined);
    return this.lists.page(sql, parameters(values, request), request.limit);
  }
}

/** Several filters use the index of the first one here. */
function statementOf({ repository, actor, actions }: AuditFilters) {
  if (repository !== undefined) {
    if (actor === undefined) return actions === undefined ? OF_REPOSITORY : OF_REPOSITORY_AND_ACTIONS;
    return actions === undefined ? OF_REPOSITORY_AND_ACTOR : OF_REPOSITORY_ACTOR_AND_ACTIONS;
  }
  if (actor !== undefined) return actions === undefined ? OF_ACTOR : OF_ACTOR_AND_ACTIONS;
  return actions === undefined ? OF_ALL : OF_ACTIONS;
}
