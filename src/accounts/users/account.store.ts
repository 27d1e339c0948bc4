import { ConflictException, Injectable } from '@nestjs/common';
import type { AccountKind, RegistryRole } from '../../database/entities/account.entity.js';
import { queryRows } from '../../database/query-rows.js';
import type { Transaction } from '../../database/unit-of-work.js';
import type { AccountName } from './account-name.js';
import { AccountUnknownError } from './account-unknown.error.js';

/** What an admin sets of an account. */
export interface AccountSettings {
  readonly role: RegistryRole | null;
  readonly disabled: boolean;
  readonly expiresAt: Date | null;
}

/** An account as its changes see it. Its hash is never read with it. */
export interface AccountRow extends AccountSettings {
  readonly id: string;
  readonly name: AccountName;
  readonly passwordGeneration: number;
}

export interface NewAccount {
  readonly name: AccountName;
  readonly kind: AccountKind;
  readonly role: RegistryRole | null;
  readonly expiresAt: Date | null;
  /** Null for robots. */
  readonly passwordHash: string | null;
  readonly createdBy: string | null;
}

const INSERT = `
  INSERT INTO accounts (name, kind, registry_role, expires_at, password_hash, created_by)
  VALUES ($1, $2, $3, $4, $5, $6)
      ON CONFLICT (name) DO NOTHING
  RETURNING id`;

const FIND = `
  SELECT id, name, registry_role AS role, disabled, expires_at AS "expiresAt",
         password_generation AS "passwordGeneration"
    FROM accounts
   WHERE name = $1 AND kind = $2 AND deleted_at IS NULL`;

const HOLDERS = `
  SELECT name, kind, deleted_at AS "deletedAt" FROM accounts WHERE name = ANY ($1::text[]) ORDER BY name`;

const PASSWORD = `
  SELECT password_hash AS hash, password_generation AS generation
    FROM accounts
   WHERE name = $1 AND deleted_at IS NULL AND password_hash IS NOT NULL`;

const UPDATE = `UPDATE accounts SET registry_role = $2, disabled = $3, expires_at = $4 WHERE id = $1`;

const SET_PASSWORD = `
  UPDATE accounts SET password_hash = $2, password_generation = password_generation + 1 WHERE id = $1`;

/** The row stays, for its name. What belongs to the account goes, so that it acts no more. */
const DELETE = [
  `DELETE FROM grants WHERE account_id = $1`,
  `DELETE FROM group_members WHERE account_id = $1`,
  `DELETE FROM access_tokens WHERE account_id = $1`,
  `UPDATE accounts SET deleted_at = now(), password_hash = NULL, registry_role = NULL WHERE id = $1`,
];

/** Who has, or had, a name. */
export interface NameHolder {
  readonly name: string;
  readonly kind: AccountKind;
  readonly deletedAt: Date | null;
}

/** The rows of accounts. All changes run in `AccessChanges`, one after the other. */
@Injectable()
export class AccountStore {
  /** @returns the id. @throws ConflictException if the name belongs, or belonged, to an account. */
  async insert(transaction: Transaction, account: NewAccount): Promise<string> {
    const { name, kind, role, expiresAt, passwordHash, createdBy } = account;
    const values = [name, kind, role, expiresAt, passwordHash, createdBy];
    const [row] = await queryRows<{ id: string }>(transaction, INSERT, values);
    if (row !== undefined) return row.id;
    const [holder] = await this.holders(transaction, [name]);
    throw new ConflictException(holder === undefined ? `the name ${name} is taken` : describeHolder(holder));
  }

  /** Who has these names, deleted accounts included. */
  holders(transaction: Transaction, names: readonly string[]): Promise<NameHolder[]> {
    return queryRows<NameHolder>(transaction, HOLDERS, [names]);
  }

  /** @throws AccountUnknownError */
  async get(transaction: Transaction, kind: AccountKind, name: AccountName): Promise<AccountRow> {
    const [row] = await queryRows<AccountRow>(transaction, FIND, [name, kind]);
    if (row === undefined) throw new AccountUnknownError(kind, name);
    return row;
  }

  /** The hash of a user's password; undefined if there is none. */
  async passwordOf(
    transaction: Transaction,
    name: AccountName,
  ): Promise<{ readonly hash: string; readonly generation: number } | undefined> {
    const [row] = await queryRows<{ hash: string; generation: number }>(transaction, PASSWORD, [name]);
    return row;
  }

  async update(transaction: Transaction, id: string, settings: AccountSettings): Promise<void> {
    await queryRows(transaction, UPDATE, [id, settings.role, settings.disabled, settings.expiresAt]);
  }

  /** What the old password was exchanged for ends: the generation rises. */
  async setPassword(transaction: Transaction, id: string, hash: string): Promise<void> {
    await queryRows(transaction, SET_PASSWORD, [id, hash]);
  }

  /** Deletes the account with its grants, memberships and secrets. */
  async delete(transaction: Transaction, id: string): Promise<void> {
    for (const statement of DELETE) await queryRows(transaction, statement, [id]);
  }
}

/** Why a name can't be given to a new account. */
export function describeHolder({ name, kind, deletedAt }: NameHolder): string {
  return deletedAt === null
    ? `a ${kind} has the name ${name}`
    : `the name ${name} belonged to a ${kind} that was deleted; names are never used again, because events ` +
        'and pushes name accounts';
}
