import { ConflictException } from '@nestjs/common';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';

/** Grants that may reach one account. So each question about access has a bounded cost. */
export const MAX_GRANTS = 1_000;

/** Whom a change of grants or members reaches. */
export type Reached =
  { readonly subject: 'account' | 'group'; readonly id: string } | { readonly subject: 'everybody' };

/** Those of signed-in and anonymous callers, which reach every account. */
const GENERAL = `(SELECT count(*) FROM grants WHERE account_id IS NULL AND group_id IS NULL)`;

const OF_ACCOUNT = `
  SELECT 'the account ' || name AS name,
         (SELECT count(*) FROM grants WHERE account_id = a.id)
         + (SELECT count(*) FROM group_members m JOIN grants g ON g.group_id = m.group_id
             WHERE m.account_id = a.id)
         + ${GENERAL} AS grants
    FROM accounts a WHERE id = $1`;

/** Of the members of a group, the one with the most. A group has its own as soon as it has a member. */
const OF_GROUP = `
  WITH membership AS (
    SELECT m.account_id, m.group_id
      FROM group_members own JOIN group_members m ON m.account_id = own.account_id
     WHERE own.group_id = $1),
  granted AS (
    SELECT group_id, (SELECT count(*) FROM grants g WHERE g.group_id = each.group_id) AS grants
      FROM (SELECT $1::bigint AS group_id UNION SELECT group_id FROM membership) AS each),
  through AS (
    SELECT account_id, sum(grants) AS grants FROM membership JOIN granted USING (group_id) GROUP BY account_id)
  SELECT name, grants + ${GENERAL} AS grants
    FROM (SELECT 'the account ' || a.name AS name,
                 t.grants + (SELECT count(*) FROM grants WHERE account_id = a.id) AS grants
            FROM through t JOIN accounts a ON a.id = t.account_id
           UNION ALL
          SELECT 'the group ' || name, granted.grants
            FROM groups JOIN granted ON granted.group_id = groups.id WHERE groups.id = $1) AS reached
   ORDER BY grants DESC LIMIT 1`;

/** Of all accounts and groups. Reads the index of each table once: such grants change rarely. */
const OF_EVERYBODY = `
  WITH own AS (
    SELECT account_id, count(*) AS grants FROM grants WHERE account_id IS NOT NULL GROUP BY account_id),
  granted AS (
    SELECT group_id, count(*) AS grants FROM grants WHERE group_id IS NOT NULL GROUP BY group_id),
  through AS (
    SELECT account_id, sum(grants) AS grants
      FROM granted JOIN group_members USING (group_id) GROUP BY account_id)
  SELECT name, grants + ${GENERAL} AS grants
    FROM (SELECT 'the account ' || a.name AS name,
                 coalesce(own.grants, 0) + coalesce(through.grants, 0) AS grants
            FROM own FULL JOIN through USING (account_id) JOIN accounts a ON a.id = account_id
           UNION ALL
          SELECT 'the group ' || name, grants FROM granted JOIN groups ON id = group_id
           UNION ALL
          SELECT 'every account', 0) AS reached
   ORDER BY grants DESC LIMIT 1`;

/**
 * Checks, after a change and in its transaction, that at most 1,000 grants reach each account that the change
 * reaches: its own, those of its groups, and those of signed-in and anonymous callers.
 *
 * @throws ConflictException
 */
export async function expectFewGrants(transaction: Transaction, reached: Reached): Promise<void> {
  const most = queryRows<{ name: string; grants: string }>;
  const [row] =
    reached.subject === 'everybody'
      ? await most(transaction, OF_EVERYBODY)
      : await most(transaction, reached.subject === 'account' ? OF_ACCOUNT : OF_GROUP, [reached.id]);
  if (row !== undefined && Number(row.grants) > MAX_GRANTS)
    throw new ConflictException(tooManyGrants(row.name, row.grants));
}

export function tooManyGrants(name: string, grants: string): string {
  return (
    `${name} would have ${grants} grants, those of groups and of signed-in and anonymous callers included: ` +
    `at most ${MAX_GRANTS} are possible. Replace some by a grant on a wider pattern`
  );
}
