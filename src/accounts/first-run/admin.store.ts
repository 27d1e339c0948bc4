import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';

/** The account with the name of the first administrator. */
export interface NamedAccount {
  readonly id: string;
  readonly kind: 'user' | 'robot';
  readonly role: 'reader' | 'admin' | null;
  readonly disabled: boolean;
  readonly expiresAt: Date | null;
  readonly isExpired: boolean;
  readonly isDeleted: boolean;
  readonly passwordHash: string | null;
  readonly passwordGeneration: number;
}

const FIND = `
  SELECT id, kind, registry_role AS role, disabled, expires_at AS "expiresAt",
         coalesce(expires_at <= now(), false) AS "isExpired", deleted_at IS NOT NULL AS "isDeleted", password_hash AS "passwordHash",
         password_generation AS "passwordGeneration"
    FROM accounts
   WHERE name = $1`;

const ANY_ADMIN = `
  SELECT EXISTS (
           SELECT FROM accounts a
            WHERE registry_role = 'admin'
              AND (kind = 'user' OR NOT disabled AND EXISTS (
                     SELECT FROM access_tokens t
                      WHERE t.account_id = a.id AND revoked_at IS NULL AND ceiling IS NULL
                        AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())))) AS "exists"`;

const INSERT = `
  INSERT INTO accounts (name, kind, registry_role, password_hash)
  VALUES ($1, 'user', 'admin', $2)
      ON CONFLICT (name) DO NOTHING
  RETURNING id`;

/** Changes nothing if the password has changed since it was read. */
const MAKE_ADMIN = `
  UPDATE accounts
     SET password_hash = coalesce($3, password_hash),
         password_generation = password_generation + CASE WHEN $3::text IS NULL THEN 0 ELSE 1 END,
         registry_role = 'admin',
         disabled = false,
         expires_at = CASE WHEN expires_at <= now() THEN NULL ELSE expires_at END
   WHERE id = $1 AND password_generation = $2 AND deleted_at IS NULL
  RETURNING id`;

/** The rows of administrators that a start makes. */
@Injectable()
export class AdminStore {
  constructor(private readonly dataSource: DataSource) {}

  async find(
    name: string,
    transaction: Transaction = this.dataSource.manager,
  ): Promise<NamedAccount | undefined> {
    const [row] = await queryRows<NamedAccount>(transaction, FIND, [name]);
    return row;
  }

  /** Whether a person is an administrator, disabled ones included, or a robot that can sign in. */
  async anyAdmin(transaction: Transaction = this.dataSource.manager): Promise<boolean> {
    const [row] = await queryRows<{ exists: boolean }>(transaction, ANY_ADMIN);
    return row?.exists === true;
  }

  /** Returns false if the name is, or was, another account's. */
  async insert(transaction: Transaction, name: string, passwordHash: string): Promise<boolean> {
    return (await queryRows(transaction, INSERT, [name, passwordHash])).length > 0;
  }

  /**
   * Enables the account and makes it an administrator.
   *
   * @param passwordHash null: the password stays.
   * @returns false if its password is not the one that was read, or it was deleted.
   */
  async makeAdmin(
    transaction: Transaction,
    { id, passwordGeneration }: NamedAccount,
    passwordHash: string | null,
  ): Promise<boolean> {
    return (await queryRows(transaction, MAKE_ADMIN, [id, passwordGeneration, passwordHash])).length > 0;
  }
}
