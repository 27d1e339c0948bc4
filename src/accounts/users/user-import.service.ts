import { BadRequestException, ConflictException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import { auditedSettings } from './account-history.js';
import { parseAccountName } from './account-name.js';
import { AccountService } from './account.service.js';
import { AccountStore, describeHolder, type NameHolder } from './account.store.js';
import { type HtpasswdUser, parseHtpasswd } from './htpasswd.js';

/** What happens to a name that is taken. */
export const EXISTING_NAMES = ['refuse', 'skip', 'update'] as const;
export type ExistingNames = (typeof EXISTING_NAMES)[number];

export interface ImportedUsers {
  readonly created: string[];
  readonly updated: string[];
  readonly skipped: string[];
}

/** Problems that one response names. */
const MAX_PROBLEMS = 10;

const NEW_USER = { role: null, disabled: false, expiresAt: null } as const;

/** Imports users with the hashes of an htpasswd file, all or none. */
@Injectable()
export class UserImportService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly accounts: AccountStore,
    private readonly accountService: AccountService,
    private readonly audit: AuditLog,
  ) {}

  /**
   * @throws BadRequestException for a text that has mistakes; ConflictException for names that are taken.
   *   Both name lines.
   */
  async run(text: string, existing: ExistingNames, origin: AuditOrigin): Promise<ImportedUsers> {
    const { users, problems } = parseHtpasswd(text);
    if (problems.length > 0) {
      const messages = problems.map(({ line, message }) => `line ${line}: ${message}`);
      throw new BadRequestException(`nothing was imported: ${summary(messages)}`);
    }
    return this.changes.run(async (transaction) => {
      const names = users.map(({ name }) => name);
      const holders = await this.accounts.holders(transaction, names);
      const taken = new Map(holders.map((holder) => [holder.name, holder]));
      refuseTaken(users, taken, existing);
      const result: ImportedUsers = { created: [], updated: [], skipped: [] };
      for (const user of users) {
        const kind = !taken.has(user.name) ? 'created' : existing === 'skip' ? 'skipped' : 'updated';
        if (kind === 'created') await this.create(transaction, user, origin);
        if (kind === 'updated') await this.update(transaction, user, origin);
        result[kind].push(user.name);
      }
      return result;
    });
  }

  private async create(
    transaction: Transaction,
    { name: text, passwordHash }: HtpasswdUser,
    origin: AuditOrigin,
  ): Promise<void> {
    const name = parseAccountName(text);
    const user = { ...NEW_USER, name, kind: 'user', passwordHash, createdBy: origin.actor } as const;
    await this.accounts.insert(transaction, user);
    const after = { kind: 'user', ...auditedSettings(NEW_USER), imported: true };
    await this.audit.record(transaction, { action: 'account.create', subject: name, after }, origin);
  }

  private async update(
    transaction: Transaction,
    { name, passwordHash }: HtpasswdUser,
    origin: AuditOrigin,
  ): Promise<void> {
    const account = await this.accounts.get(transaction, 'user', parseAccountName(name));
    await this.accountService.setPassword(transaction, account, passwordHash, origin);
  }
}

/** @throws ConflictException for the names that this import may not have. */
function refuseTaken(
  users: readonly HtpasswdUser[],
  taken: ReadonlyMap<string, NameHolder>,
  existing: ExistingNames,
): void {
  if (existing === 'skip') return;
  const messages = users.flatMap(({ name, line }) => {
    const holder = taken.get(name);
    if (holder === undefined) return [];
    const isUser = holder.kind === 'user' && holder.deletedAt === null;
    return existing === 'update' && isUser ? [] : [`line ${line}: ${describeHolder(holder)}`];
  });
  if (messages.length > 0) throw new ConflictException(`nothing was imported: ${summary(messages)}`);
}

function summary(messages: readonly string[]): string {
  const more = messages.length > MAX_PROBLEMS ? `; and ${messages.length - MAX_PROBLEMS} more` : '';
  return messages.slice(0, MAX_PROBLEMS).join('; ') + more;
}
