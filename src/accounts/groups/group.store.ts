import { Injectable } from '@nestjs/common';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';
import type { AccountName } from '../users/account-name.js';
import { AnyAccountUnknownError, GroupUnknownError } from './group.errors.js';

export interface NewGroup {
  /** Of the form of an account's name. Groups and accounts have namespaces of their own. */
  readonly name: AccountName;
  readonly description: string;
}

export interface GroupRow extends NewGroup {
  readonly id: string;
}

/** What a group has, for the audit log. */
export interface GroupContents {
  readonly members: readonly string[];
  readonly grants: readonly { readonly pattern: string; readonly role: string }[];
}

const CONTENTS = `
  SELECT ARRAY(SELECT a.name FROM group_members m JOIN accounts a ON a.id = m.account_id
                WHERE m.group_id = $1 ORDER BY a.name) AS members,
         (SELECT coalesce(json_agg(json_build_object('pattern', pattern, 'role', role) ORDER BY pattern), '[]')
            FROM grants WHERE group_id = $1) AS grants`;

/** The rows of groups and their members. All changes run in `AccessChanges`, one after the other. */
@Injectable()
export class GroupStore {
  /** Returns false if the name is taken. */
  async insert(transaction: Transaction, group: NewGroup, createdBy: string | null): Promise<boolean> {
    const rows = await queryRows(
      transaction,
      `INSERT INTO groups (name, description, created_by) VALUES ($1, $2, $3)
           ON CONFLICT (name) DO NOTHING RETURNING id`,
      [group.name, group.description, createdBy],
    );
    return rows.length > 0;
  }

  /** @throws GroupUnknownError */
  async get(transaction: Transaction, name: AccountName): Promise<GroupRow> {
    const sql = 'SELECT id, name, description FROM groups WHERE name = $1';
    const [row] = await queryRows<GroupRow>(transaction, sql, [name]);
    if (row === undefined) throw new GroupUnknownError(name);
    return row;
  }

  /** The id of a user or robot. @throws AnyAccountUnknownError also for a deleted one. */
  async accountId(transaction: Transaction, name: AccountName): Promise<string> {
    const sql = 'SELECT id FROM accounts WHERE name = $1 AND deleted_at IS NULL';
    const [row] = await queryRows<{ id: string }>(transaction, sql, [name]);
    if (row === undefined) throw new AnyAccountUnknownError(name);
    return row.id;
  }

  async contentsOf(transaction: Transaction, groupId: string): Promise<GroupContents> {
    const [row] = await queryRows<GroupContents>(transaction, CONTENTS, [groupId]);
    return row ?? { members: [], grants: [] };
  }

  async setDescription(transaction: Transaction, groupId: string, description: string): Promise<void> {
    await queryRows(transaction, 'UPDATE groups SET description = $2 WHERE id = $1', [groupId, description]);
  }

  /** Deletes the group with its memberships and grants. */
  async delete(transaction: Transaction, groupId: string): Promise<void> {
    await queryRows(transaction, 'DELETE FROM groups WHERE id = $1', [groupId]);
  }

  /** Returns false if the account is a member already. */
  async addMember(transaction: Transaction, groupId: string, accountId: string): Promise<boolean> {
    const rows = await queryRows(
      transaction,
      `INSERT INTO group_members (group_id, account_id) VALUES ($1, $2)
           ON CONFLICT DO NOTHING RETURNING account_id`,
      [groupId, accountId],
    );
    return rows.length > 0;
  }

  /** Returns false if the account is no member. */
  async removeMember(transaction: Transaction, groupId: string, accountId: string): Promise<boolean> {
    const sql = 'DELETE FROM group_members WHERE group_id = $1 AND account_id = $2 RETURNING account_id';
    return (await queryRows(transaction, sql, [groupId, accountId])).length > 0;
  }
}
