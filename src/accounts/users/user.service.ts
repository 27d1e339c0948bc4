import { ForbiddenException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { RegistryRole } from '../../database/entities/account.entity.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import { auditedSettings } from './account-history.js';
import type { AccountName } from './account-name.js';
import { AccountService } from './account.service.js';
import { AccountStore } from './account.store.js';
import { PasswordHasher } from '../passwords/password-hasher.js';

export interface NewUser {
  readonly name: AccountName;
  readonly role: RegistryRole | null;
  readonly expiresAt: Date | null;
  readonly password: string;
}

/** Makes users, and changes their own passwords. */
@Injectable()
export class UserService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly unitOfWork: UnitOfWork,
    private readonly accounts: AccountStore,
    private readonly accountService: AccountService,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditLog,
  ) {}

  /** @throws ConflictException if the name belongs, or belonged, to an account. */
  async create({ name, role, expiresAt, password }: NewUser, origin: AuditOrigin): Promise<void> {
    const passwordHash = await this.hasher.hash(password);
    await this.changes.run(async (transaction) => {
      const user = { name, kind: 'user', role, expiresAt, passwordHash, createdBy: origin.actor } as const;
      await this.accounts.insert(transaction, user);
      const after = { kind: 'user', ...auditedSettings({ role, disabled: false, expiresAt }) };
      await this.audit.record(transaction, { action: 'account.create', subject: name, after }, origin);
    });
  }

  /**
   * Changes a user's own password. Logins with the old one, and the tokens that they got, end.
   *
   * @throws ForbiddenException if `current` is not the user's password.
   */
  async changePassword(
    name: AccountName,
    { current, next }: { readonly current: string; readonly next: string },
    origin: AuditOrigin,
  ): Promise<void> {
    // Both take time, so they run before the transaction.
    const stored = await this.unitOfWork.run((transaction) => this.accounts.passwordOf(transaction, name));
    if (stored === undefined || !(await this.hasher.verify(stored.hash, current)).matches)
      throw wrongPassword();
    const hash = await this.hasher.hash(next);
    await this.changes.run(async (transaction) => {
      const account = await this.accounts.get(transaction, 'user', name);
      // Another request has set a new one meanwhile.
      if (account.passwordGeneration !== stored.generation) throw wrongPassword();
      await this.accountService.setPassword(transaction, account, hash, origin);
    });
  }
}

function wrongPassword(): ForbiddenException {
  return new ForbiddenException('currentPassword: this is not your password');
}
