import type { AuditAction } from './audit-actions.js';
import type { AuditOrigin } from './audit-event.js';

/** The event of a row, as SQL expressions over it and the statement's parameters. */
export interface AuditedRow {
  readonly action: AuditAction;
  readonly subject: string;
  readonly repository?: string;
  readonly before?: string;
  readonly after?: string;
}

/**
 * The SQL that records an event for each row of `from`, as a part (`WITH`) of the statement that makes the
 * change: no change without its event, and no second round trip.
 *
 * @param first the number of the first of four parameters: see {@link auditParameters}.
 */
export function auditInsertion(
  from: string,
  { action, subject, repository = 'NULL', before = 'NULL', after = 'NULL' }: AuditedRow,
  first: number,
): string {
  const origin = [0, 1, 2, 3].map((n) => `$${first + n}`).join(', ');
  return `
    INSERT INTO audit_events (action, subject, repository, before, after,
                              actor, client_address, user_agent, request_id)
    SELECT '${action}', ${subject}, ${repository}, ${before}::jsonb, ${after}::jsonb, ${origin} FROM ${from}`;
}

const setting = (name: string, parameter: number) =>
  `set_config('berth.${name}', coalesce($${parameter}, ''), true)`;

/**
 * A FROM clause for a statement that calls a function of the schema. Sets what is known of the request for
 * the transaction of the statement: columns of `manifests`, `tag_events` and `audit_events` default to it.
 *
 * @param first the number of the first of three parameters: client address, user agent and request id.
 * @param call the function, if it returns columns. Others can be called in the list of SELECT.
 */
export function fromOrigin(first: number, call?: string): string {
  const settings = ['client_address', 'user_agent', 'request_id'].map((name, n) => setting(name, first + n));
  const calls = call === undefined ? settings : [...settings, call];
  return `FROM ROWS FROM (${calls.join(', ')}) AS result`;
}

/** Actor, client address, user agent and request id. */
export function auditParameters({ actor, clientAddress, userAgent, requestId }: AuditOrigin): unknown[] {
  return [actor, clientAddress, userAgent, requestId];
}
