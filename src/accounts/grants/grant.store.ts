import { Injectable } from '@nestjs/common';
import type { GrantRole, GrantSubject } from '../../database/entities/grant.entity.js';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';
import type { Pattern } from './pattern.js';

/** Who has a grant, by the id of its row. */
export type GrantHolder =
  | { readonly subject: 'account' | 'group'; readonly id: string }
  | { readonly subject: 'signed-in' | 'anonymous' };

export interface GrantRow {
  readonly id: string;
  readonly role: GrantRole;
}

/** A grant, with the name of its account or group. */
export interface NamedGrant extends GrantRow {
  readonly subject: GrantSubject;
  readonly name: string | null;
  readonly pattern: string;
}

/** Each subject has a unique index with its patterns. */
const OF_HOLDER: Readonly<Record<GrantSubject, string>> = {
  account: 'account_id = $1',
  group: 'group_id = $1',
  'signed-in': 'subject = $1 AND account_id IS NULL AND group_id IS NULL',
  anonymous: 'subject = $1 AND account_id IS NULL AND group_id IS NULL',
};

const DELETE = `
  WITH deleted AS (DELETE FROM grants WHERE id = $1 RETURNING *)
  SELECT d.id, d.subject, coalesce(a.name, g.name) AS name, d.pattern, d.role
    FROM deleted d
    LEFT JOIN accounts a ON a.id = d.account_id
    LEFT JOIN groups g ON g.id = d.group_id`;

/** The rows of grants. All changes run in `AccessChanges`, one after the other. */
@Injectable()
export class GrantStore {
  /** The grant of a subject on a pattern. There is at most one. */
  async find(transaction: Transaction, holder: GrantHolder, pattern: Pattern): Promise<GrantRow | undefined> {
    const sql = `SELECT id, role FROM grants WHERE ${OF_HOLDER[holder.subject]} AND pattern = $2`;
    const key = 'id' in holder ? holder.id : holder.subject;
    return (await queryRows<GrantRow>(transaction, sql, [key, pattern]))[0];
  }

  /** Returns its id. */
  async insert(
    transaction: Transaction,
    holder: GrantHolder,
    { pattern, role }: { readonly pattern: Pattern; readonly role: GrantRole },
    createdBy: string | null,
  ): Promise<string> {
    const [row] = await queryRows<{ id: string }>(
      transaction,
      `INSERT INTO grants (subject, account_id, group_id, pattern, role, created_by)
       VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
      [
        holder.subject,
        holder.subject === 'account' ? holder.id : null,
        holder.subject === 'group' ? holder.id : null,
        pattern,
        role,
        createdBy,
      ],
    );
    if (row === undefined) throw new Error('an insert returned no row');
    return row.id;
  }

  async setRole(transaction: Transaction, id: string, role: GrantRole): Promise<void> {
    await queryRows(transaction, 'UPDATE grants SET role = $2 WHERE id = $1', [id, role]);
  }

  /** Returns what was deleted; undefined if there is no such grant. */
  async delete(transaction: Transaction, id: string): Promise<NamedGrant | undefined> {
    return (await queryRows<NamedGrant>(transaction, DELETE, [id]))[0];
  }
}
