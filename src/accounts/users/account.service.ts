import { Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { AccountKind } from '../../database/entities/account.entity.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import { auditedAccount, auditedSettings } from './account-history.js';
import type { AccountName } from './account-name.js';
import { type AccountRow, type AccountSettings, AccountStore } from './account.store.js';
import { keepAnAdmin } from './keep-an-admin.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { SecretStore } from '../secrets/secret.store.js';

/** What changes; undefined stays as it is. */
export interface AccountChange {
  readonly role?: AccountSettings['role'] | undefined;
  readonly disabled?: boolean | undefined;
  readonly expiresAt?: Date | null | undefined;
  /** Of a user. */
  readonly password?: string | undefined;
  /** Whether all secrets of the account end. */
  readonly revokeTokens?: boolean | undefined;
}

/** Changes users and robots. A change acts at once: on the account's logins, secrets and tokens. */
@Injectable()
export class AccountService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly accounts: AccountStore,
    private readonly secrets: SecretStore,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditLog,
  ) {}

  /** @throws AccountUnknownError; ConflictException if the registry would lose its last admin. */
  async update(
    kind: AccountKind,
    name: AccountName,
    change: AccountChange,
    origin: AuditOrigin,
  ): Promise<void> {
    const hash = change.password === undefined ? undefined : await this.hasher.hash(change.password);
    await this.changes.run((transaction) =>
      keepAnAdmin(transaction, async () => {
        const account = await this.accounts.get(transaction, kind, name);
        await this.updateSettings(transaction, account, change, origin);
        if (hash !== undefined) await this.setPassword(transaction, account, hash, origin);
        if (change.revokeTokens === true) await this.revokeSecrets(transaction, account, origin);
      }),
    );
  }

  /**
   * Deletes an account with its grants, memberships and secrets. Its name stays taken.
   *
   * @throws AccountUnknownError; ConflictException if the registry would lose its last admin.
   */
  async delete(kind: AccountKind, name: AccountName, origin: AuditOrigin): Promise<void> {
    await this.changes.run((transaction) =>
      keepAnAdmin(transaction, async () => {
        const account = await this.accounts.get(transaction, kind, name);
        const before = await auditedAccount(transaction, kind, account);
        await this.accounts.delete(transaction, account.id);
        await this.audit.record(transaction, { action: 'account.delete', subject: name, before }, origin);
      }),
    );
  }

  /** Sets the hash of a user's password, in a transaction of a change. */
  async setPassword(
    transaction: Transaction,
    { id, name, passwordGeneration }: AccountRow,
    hash: string,
    origin: AuditOrigin,
  ): Promise<void> {
    await this.accounts.setPassword(transaction, id, hash);
    const [before, after] = [{ passwordGeneration }, { passwordGeneration: passwordGeneration + 1 }];
    await this.audit.record(
      transaction,
      { action: 'account.password', subject: name, before, after },
      origin,
    );
  }

  private async updateSettings(
    transaction: Transaction,
    account: AccountRow,
    { role = account.role, disabled = account.disabled, expiresAt = account.expiresAt }: AccountChange,
    origin: AuditOrigin,
  ): Promise<void> {
    const [before, after] = [auditedSettings(account), auditedSettings({ role, disabled, expiresAt })];
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    await this.accounts.update(transaction, account.id, { role, disabled, expiresAt });
    const event = { action: 'account.update', subject: account.name, before, after } as const;
    await this.audit.record(transaction, event, origin);
  }

  private async revokeSecrets(
    transaction: Transaction,
    { id, name }: AccountRow,
    origin: AuditOrigin,
  ): Promise<void> {
    for (const secret of await this.secrets.revokeAll(transaction, id)) {
      const event = { action: 'token.revoke', subject: name, before: { ...secret } } as const;
      await this.audit.record(transaction, event, origin);
    }
  }
}
