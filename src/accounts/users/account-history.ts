import type { AuditFields } from '../../audit/audit-event.js';
import type { AccountKind } from '../../database/entities/account.entity.js';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';
import type { AccountRow, AccountSettings } from './account.store.js';

/** The fields of an account in the audit log. A password shows as its generation. */
export function auditedSettings({ role, disabled, expiresAt }: AccountSettings): AuditFields {
  return { role, disabled, expiresAt };
}

const BELONGINGS = `
  SELECT (SELECT coalesce(json_agg(g.name ORDER BY g.name), '[]')
            FROM group_members m JOIN groups g ON g.id = m.group_id WHERE m.account_id = $1) AS groups,
         (SELECT coalesce(json_agg(json_build_object('pattern', pattern, 'role', role) ORDER BY pattern), '[]')
            FROM grants WHERE account_id = $1) AS grants,
         (SELECT coalesce(json_agg(json_build_object('id', id, 'name', name) ORDER BY id), '[]')
            FROM access_tokens
           WHERE account_id = $1 AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > clock_timestamp())) AS tokens`;

interface Belongings {
  readonly groups: readonly string[];
  readonly grants: readonly { readonly pattern: string; readonly role: string }[];
  /** Secrets that would still be valid. */
  readonly tokens: readonly { readonly id: string; readonly name: string }[];
}

/** An account before its deletion, with what the deletion takes from it. */
export async function auditedAccount(
  transaction: Transaction,
  kind: AccountKind,
  account: AccountRow,
): Promise<AuditFields> {
  const [belongings] = await queryRows<Belongings>(transaction, BELONGINGS, [account.id]);
  return { kind, ...auditedSettings(account), ...belongings };
}
