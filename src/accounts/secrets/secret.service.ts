import { ConflictException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { AccountKind } from '../../database/entities/account.entity.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import type { AccountName } from '../users/account-name.js';
import { type AccountRow, AccountStore } from '../users/account.store.js';
import { keepAnAdmin } from '../users/keep-an-admin.js';
import { createSecret } from './secret.js';
import { type SecretDescription, SecretStore } from './secret.store.js';
import { SecretUnknownError } from './secret-unknown.error.js';

/** Rotation needs two at a time. This leaves room for one per machine. */
export const MAX_SECRETS_PER_ACCOUNT = 100;

/** Unless told otherwise. */
export const SECRET_LIFETIME_DAYS = 90;

/** Whose secret it is. */
export interface AccountReference {
  readonly kind: AccountKind;
  readonly name: AccountName;
}

export interface SecretOptions {
  /** What its owner calls it. */
  readonly name: string;
  /** Null: it does not expire. */
  readonly expiresAt: Date | null;
  readonly ceiling: 'pull' | null;
}

/** A new secret, with its text. */
export interface IssuedSecret extends SecretDescription {
  readonly secret: string;
}

export function tooManySecrets(accountName: string): string {
  return `${accountName} has ${MAX_SECRETS_PER_ACCOUNT} active secrets, the maximum: revoke one first`;
}

/** Makes and revokes secrets, with which programs sign in. */
@Injectable()
export class SecretService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly accounts: AccountStore,
    private readonly secrets: SecretStore,
    private readonly audit: AuditLog,
  ) {}

  /** @throws AccountUnknownError; ConflictException if the account has too many secrets. */
  create(owner: AccountReference, options: SecretOptions, origin: AuditOrigin): Promise<IssuedSecret> {
    return this.changes.run(async (transaction) => {
      const account = await this.accounts.get(transaction, owner.kind, owner.name);
      return this.insert(transaction, account, options, origin);
    });
  }

  /** As `create`, in a transaction of a change. */
  async insert(
    transaction: Transaction,
    { id: accountId, name: accountName }: Pick<AccountRow, 'id' | 'name'>,
    { name, expiresAt, ceiling }: SecretOptions,
    origin: AuditOrigin,
  ): Promise<IssuedSecret> {
    if ((await this.secrets.countActive(transaction, accountId)) >= MAX_SECRETS_PER_ACCOUNT) {
      throw new ConflictException(tooManySecrets(accountName));
    }
    const { id, text, sha256 } = createSecret();
    const described: SecretDescription = { id, name, ceiling, expiresAt };
    await this.secrets.insert(transaction, accountId, { ...described, sha256, createdBy: origin.actor });
    await this.audit.record(
      transaction,
      { action: 'token.create', subject: accountName, after: { ...described } },
      origin,
    );
    return { ...described, secret: text };
  }

  /**
   * Logins with the secret, and the tokens that they got, end.
   *
   * @throws AccountUnknownError; SecretUnknownError; ConflictException if the registry would lose its last
   *   admin.
   */
  async revoke(owner: AccountReference, id: string, origin: AuditOrigin): Promise<void> {
    await this.changes.run((transaction) =>
      keepAnAdmin(transaction, async () => {
        const { id: accountId, name } = await this.accounts.get(transaction, owner.kind, owner.name);
        const before = await this.secrets.revoke(transaction, accountId, id);
        if (before === undefined) throw new SecretUnknownError();
        await this.audit.record(
          transaction,
          { action: 'token.revoke', subject: name, before: { ...before } },
          origin,
        );
      }),
    );
  }
}
