import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import { countedAgo } from '../maintenance/upload-clock.js';
import type { AuditEvent, AuditFields, AuditOrigin } from './audit-event.js';
import { auditParameters } from './audit-insertion.js';

const MAX_FIELDS_LENGTH = 16 * 1024;
/** Of a list in fields that are too long. */
const MAX_ITEMS = 50;
const MAX_SUBJECT_LENGTH = 256;
const YEAR_SECONDS = 365 * 24 * 60 * 60;

const RECORD = `
  INSERT INTO audit_events (action, subject, repository, before, after,
                            actor, client_address, user_agent, request_id)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`;

/**
 * The condition for events that retention deletes. A clock that jumps ahead must not empty the audit log: so
 * the time must also have been counted (see `UploadClock`), up to the year that is known.
 */
const IS_OLD = `
  happened_at < now() - $1::float8 * interval '1 second'
  AND happened_at < ${countedAgo(`least($1::float8, ${YEAR_SECONDS})`)}`;

/**
 * Who changed what: changes of access, logins, deletions and cross-repository mounts. An event is written in
 * the transaction of its change, so there is never one without the other. The database refuses to change
 * events, and to delete them before their time (migration `AuditEvents`).
 */
@Injectable()
export class AuditLog {
  constructor(private readonly dataSource: DataSource) {}

  /** Records an event in the transaction of its change. {@link auditInsertion} is for single statements. */
  async record(transaction: Transaction, event: AuditEvent, origin: AuditOrigin): Promise<void> {
    await queryRows(transaction, RECORD, [
      event.action,
      event.subject?.slice(0, MAX_SUBJECT_LENGTH) ?? null,
      event.repository ?? null,
      bounded(event.before),
      bounded(event.after),
      ...auditParameters(origin),
    ]);
  }

  /** Deletes at most `limit` events older than `retentionSeconds`, the oldest first. Returns how many. */
  async prune(retentionSeconds: number, limit: number): Promise<number> {
    const rows = await queryRows(
      this.dataSource.manager,
      // The setting, which the trigger checks, ends with the statement.
      `DELETE FROM audit_events
        WHERE id = ANY (ARRAY(
                SELECT id FROM set_config('berth.audit_retention_seconds', $1::text, true), audit_events
                 WHERE ${IS_OLD}
                 ORDER BY happened_at, id LIMIT $2))
        RETURNING id`,
      [retentionSeconds, limit],
    );
    return rows.length;
  }
}

/** As JSON. If it is too long, lists keep their first items, and `omitted` has the number of the others. */
function bounded(fields: AuditFields | undefined): string | null {
  if (fields === undefined) return null;
  const text = JSON.stringify(fields);
  if (text.length <= MAX_FIELDS_LENGTH) return text;
  const lists = Object.entries(fields).filter(
    ([, value]) => Array.isArray(value) && value.length > MAX_ITEMS,
  );
  const shortened = JSON.stringify({
    ...fields,
    ...Object.fromEntries(lists.map(([name, value]) => [name, (value as unknown[]).slice(0, MAX_ITEMS)])),
    omitted: Object.fromEntries(
      lists.map(([name, value]) => [name, (value as unknown[]).length - MAX_ITEMS]),
    ),
  });
  return shortened.length <= MAX_FIELDS_LENGTH
    ? shortened
    : JSON.stringify({ omitted: `${text.length} characters, more than ${MAX_FIELDS_LENGTH}` });
}
