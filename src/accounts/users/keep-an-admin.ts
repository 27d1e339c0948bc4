import { ConflictException } from '@nestjs/common';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';

/** Admins that can sign in, and change access, now; and those of them for whom that has no end. */
interface Admins {
  readonly usable: number;
  readonly lasting: number;
}

/** A secret that may only pull does not count. */
const COUNT = `
  SELECT count(*) FILTER (WHERE a.password_hash IS NOT NULL OR s.usable)::int AS usable,
         count(*) FILTER (WHERE a.expires_at IS NULL
                            AND (a.password_hash IS NOT NULL OR s.lasting))::int AS lasting
    FROM accounts a
   CROSS JOIN LATERAL (
           SELECT count(*) > 0 AS usable, count(*) FILTER (WHERE t.expires_at IS NULL) > 0 AS lasting
             FROM access_tokens t
            WHERE t.account_id = a.id AND t.revoked_at IS NULL AND t.ceiling IS NULL
              AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())) AS s
   WHERE a.registry_role = 'admin' AND NOT a.disabled AND a.deleted_at IS NULL
     AND (a.expires_at IS NULL OR a.expires_at > clock_timestamp())`;

export const LAST_ADMIN =
  'this is the last admin that can sign in without an end; make another one first: enabled, without an ' +
  'expiry, and with a password or a secret that does not expire';

/**
 * Runs a change of accounts or secrets, and refuses it if it took the last admin: the last one that can sign
 * in, or the last one without an end. Changes run one after the other, so two of them can't take one admin
 * each. A registry that has no admin yet, in an open mode, allows everything.
 *
 * @throws ConflictException; the caller's transaction is rolled back.
 */
export async function keepAnAdmin<T>(transaction: Transaction, change: () => Promise<T>): Promise<T> {
  const before = await count(transaction);
  const result = await change();
  const after = await count(transaction);
  if ((before.usable > 0 && after.usable === 0) || (before.lasting > 0 && after.lasting === 0)) {
    throw new ConflictException(LAST_ADMIN);
  }
  return result;
}

async function count(transaction: Transaction): Promise<Admins> {
  const [admins] = await queryRows<Admins>(transaction, COUNT);
  if (admins === undefined) throw new Error('counting admins returned no row');
  return admins;
}
