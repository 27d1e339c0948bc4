import { Injectable } from '@nestjs/common';
import type { AuditAction } from '../../../audit/audit-actions.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page } from '../../../database/page.js';
import { eventStatement, type EventsRequest } from '../../events/event-statement.js';
import { timeColumn } from '../../paging/sort.js';
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

const POSITION = `timestamptz 'epoch' + $4::bigint * interval '1 microsecond'`;

/**
 * A page of each action, from its own range of the index by actions, and the newest of all. Rows are compared
 * instead of actions: only this index has their order. The planner took the index by time for an action that
 * it assumed to be frequent, and read the whole log.
 */
const OF_ACTIONS: ReturnType<typeof by> = {
  sql: `
    SELECT newest.*
      FROM unnest(string_to_array($1, ' ')) AS wanted (action)
     CROSS JOIN LATERAL (
             SELECT ${COLUMNS}, e.id, ${timeColumn('e.happened_at').toValue} AS "sortValue"
               FROM audit_events e
              WHERE (e.action, e.happened_at) >= (wanted.action COLLATE "C", $2::timestamptz)
                AND (e.action, e.happened_at, e.id)
                    < (wanted.action COLLATE "C", least($3::timestamptz, ${POSITION}),
                       CASE WHEN $3::timestamptz <= ${POSITION} THEN 0 ELSE $5::bigint END)
              ORDER BY e.action DESC, e.happened_at DESC, e.id DESC
              LIMIT $6) AS newest
     ORDER BY "happenedAt" DESC, id DESC
     LIMIT $6`,
  parameters: by('$1').parameters,
};

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
