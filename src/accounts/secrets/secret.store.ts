import { Injectable } from '@nestjs/common';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';

/** What its owner sees of a secret. Its text is shown once and not stored. */
export interface SecretDescription {
  readonly id: string;
  readonly name: string;
  readonly ceiling: 'pull' | null;
  readonly expiresAt: Date | null;
}

export interface SecretRow extends SecretDescription {
  readonly sha256: Buffer;
  readonly createdBy: string | null;
}

/** How long a secret that ended stays in lists. */
const KEPT_DAYS = 30;
/** Of an account. Who makes and revokes secrets all the time must not fill the table. */
const MAX_ENDED = 1_000;

const IS_ACTIVE = `revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;

const COUNT = `SELECT count(*)::int AS count FROM access_tokens WHERE account_id = $1 AND ${IS_ACTIVE}`;

const INSERT = `
  INSERT INTO access_tokens (id, account_id, name, sha256, ceiling, expires_at, created_by)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`;

const FORGET = `
  DELETE FROM access_tokens
   WHERE account_id = $1
     AND (least(revoked_at, expires_at) < now() - interval '${KEPT_DAYS} days'
          OR id IN (SELECT id FROM access_tokens
                     WHERE account_id = $1 AND least(revoked_at, expires_at) <= now()
                     ORDER BY least(revoked_at, expires_at) DESC, id OFFSET ${MAX_ENDED}))`;

const revoke = (which: string) => `
  UPDATE access_tokens SET revoked_at = now()
   WHERE account_id = $1 AND ${which} AND revoked_at IS NULL
  RETURNING id, name, ceiling, expires_at AS "expiresAt"`;
const REVOKE_ONE = revoke('id = $2');
const REVOKE_ALL = revoke('true');

/** The rows of secrets (`access_tokens`). All changes run in `AccessChanges`, one after the other. */
@Injectable()
export class SecretStore {
  /** The secrets of an account that neither expired nor were revoked. */
  async countActive(transaction: Transaction, accountId: string): Promise<number> {
    const [row] = await queryRows<{ count: number }>(transaction, COUNT, [accountId]);
    return row?.count ?? 0;
  }

  /** Inserts a secret, and deletes those of the account that ended a while ago. */
  async insert(transaction: Transaction, accountId: string, secret: SecretRow): Promise<void> {
    const { id, name, sha256, ceiling, expiresAt, createdBy } = secret;
    await queryRows(transaction, FORGET, [accountId]);
    await queryRows(transaction, INSERT, [id, accountId, name, sha256, ceiling, expiresAt, createdBy]);
  }

  /** Returns the secret; undefined if the account has none with the id, or if it was revoked before. */
  async revoke(
    transaction: Transaction,
    accountId: string,
    id: string,
  ): Promise<SecretDescription | undefined> {
    const [row] = await queryRows<SecretDescription>(transaction, REVOKE_ONE, [accountId, id]);
    return row;
  }

  /** Returns the secrets that it revoked. */
  revokeAll(transaction: Transaction, accountId: string): Promise<SecretDescription[]> {
    return queryRows<SecretDescription>(transaction, REVOKE_ALL, [accountId]);
  }
}
