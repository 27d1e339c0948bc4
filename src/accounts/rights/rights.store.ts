import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { READS } from '../../database/connection/connections.js';
import type { AccountKind, RegistryRole } from '../../database/entities/account.entity.js';
import { queryRows } from '../../database/query-rows.js';
import type { AccountRights, SecretRights } from './account-rights.js';
import { type Grant, GrantSet } from './grant-set.js';

interface AccountRow {
  readonly id: string;
  readonly name: string;
  readonly kind: AccountKind;
  readonly registry_role: RegistryRole | null;
  readonly disabled: boolean;
  readonly expires_at: Date | null;
  readonly password_generation: number;
  readonly grants: Grant[];
}

/** Reads rights. Each statement sees all changes of the epoch that was read before it. */
@Injectable()
export class RightsStore {
  constructor(@Inject(READS) private readonly reads: DataSource) {}

  /** The epoch: a text that differs after each change of rights. */
  async epoch(): Promise<string> {
    const [row] = await queryRows<{ epoch: string }>(
      this.reads.manager,
      'SELECT epoch FROM access_state WHERE is_only_row',
    );
    if (row === undefined) throw new Error('the row of access_state was deleted');
    return row.epoch;
  }

  /** The account with a name; undefined if there is none, or if it was deleted. */
  async account(name: string): Promise<AccountRights | undefined> {
    return this.findAccount('name = $1', name);
  }

  /** The account with an id; undefined if there is none, or if it was deleted. */
  async accountById(id: string): Promise<AccountRights | undefined> {
    return this.findAccount('id = $1', id);
  }

  async anonymous(): Promise<GrantSet> {
    const rows = await queryRows<Grant>(
      this.reads.manager,
      `SELECT id, subject, NULL AS "group", pattern, role FROM grants
        WHERE subject = 'anonymous' AND account_id IS NULL AND group_id IS NULL`,
    );
    return new GrantSet(rows);
  }

  async secret(id: string): Promise<SecretRights | undefined> {
    const [row] = await queryRows<SecretRights>(
      this.reads.manager,
      `SELECT id, account_id AS "accountId", sha256, ceiling, expires_at AS "expiresAt",
              revoked_at IS NOT NULL AS "isRevoked", last_used_at AS "lastUsedAt"
         FROM access_tokens WHERE id = $1`,
      [id],
    );
    return row;
  }

  private async findAccount(condition: string, key: string): Promise<AccountRights | undefined> {
    const [row] = await queryRows<AccountRow>(this.reads.manager, accountSql(condition), [key]);
    return (
      row && {
        id: row.id,
        name: row.name,
        kind: row.kind,
        registryRole: row.registry_role,
        isDisabled: row.disabled,
        expiresAt: row.expires_at,
        passwordGeneration: row.password_generation,
        grants: new GrantSet(row.grants),
      }
    );
  }
}

function accountSql(condition: string): string {
  return `
    WITH account AS (SELECT * FROM accounts WHERE ${condition} AND deleted_at IS NULL),
    reaching AS (
      SELECT id, subject, NULL AS "group", pattern, role
        FROM grants WHERE account_id = (SELECT id FROM account)
       UNION ALL
      SELECT g.id, g.subject, groups.name, g.pattern, g.role
        FROM group_members m
        JOIN groups ON groups.id = m.group_id
        JOIN grants g ON g.group_id = m.group_id
       WHERE m.account_id = (SELECT id FROM account)
       UNION ALL
      SELECT id, subject, NULL, pattern, role
        FROM grants WHERE account_id IS NULL AND group_id IS NULL
    )
    SELECT id, name, kind, registry_role, disabled, expires_at, password_generation,
           (SELECT coalesce(json_agg(json_build_object('id', id::text, 'subject', subject, 'group', "group",
                                                       'pattern', pattern, 'role', role)), '[]')
              FROM reaching) AS grants
      FROM account`;
}
