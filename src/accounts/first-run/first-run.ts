import { Injectable, Logger } from '@nestjs/common';
import { NO_REQUEST } from '../../audit/audit-event.js';
import { AuditLog } from '../../audit/audit-log.js';
import { StartupError } from '../../common/startup.error.js';
import { Configuration } from '../../config/configuration.js';
import type { Transaction } from '../../database/unit-of-work.js';
import { AccessChanges } from '../rights/access-changes.js';
import { auditedSettings } from '../users/account-history.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { AdminStore, type NamedAccount } from './admin.store.js';
import { readPasswordFile } from './admin-password.js';
import { InitialPasswordFile } from './initial-password-file.js';
import { randomPassword } from '../passwords/random-password.js';

/** The administrator whom a start has made, or whose first password nobody has replaced yet. */
export interface FirstAdmin {
  readonly name: string;
  /** Undefined if the password is in the settings. */
  readonly initial: InitialPassword | undefined;
}

/** A random password, for a terminal, and the file that has it until somebody has seen it. */
export interface InitialPassword {
  readonly text: string;
  readonly file: InitialPasswordFile;
}

/** Other replicas may set the password at the same time. */
const MAX_ATTEMPTS = 5;

const AN_ADMIN = auditedSettings({ role: 'admin', disabled: false, expiresAt: null });

/**
 * Makes the administrator that a registry with access control begins with. `ADMIN_PASSWORD(_FILE)` is applied
 * at each start, so it is also the way back in. Without it, the first start makes a random password; of all
 * replicas and workers, only the process that inserted the row has it.
 */
@Injectable()
export class FirstRun {
  private readonly logger = new Logger('FirstRun');

  constructor(
    private readonly configuration: Configuration,
    private readonly changes: AccessChanges,
    private readonly admins: AdminStore,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditLog,
  ) {}

  /**
   * Call it once per start, before the first request, and never in a worker. Does nothing where access is
   * open.
   *
   * @throws StartupError if there would be no administrator, or none whose password somebody knows.
   */
  async run(): Promise<FirstAdmin | undefined> {
    const { access, adminUsername: name, adminPassword, adminPasswordFile } = this.configuration;
    if (access !== 'token') return undefined;
    const password =
      adminPasswordFile === undefined ? adminPassword : await readPasswordFile(adminPasswordFile);
    if (password !== undefined) {
      return (await this.apply(name, password)) ? { name, initial: undefined } : undefined;
    }
    return this.makeOnce(name);
  }

  /** Returns false if the name can't be used. */
  private async apply(name: string, password: string): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const found = await this.admins.find(name);
      if (found !== undefined && !canBeAdmin(found)) {
        await this.refuseName(name, found);
        return false;
      }
      const isSame = found !== undefined && (await this.hasher.verify(found.passwordHash, password)).matches;
      if (isSame && found.role === 'admin' && !found.disabled && !found.isExpired) return true;
      const hash = isSame ? null : await this.hasher.hash(password);
      if (await this.changes.run((transaction) => this.set(transaction, name, found, hash))) {
        this.logger.log(`ADMIN_PASSWORD is now the password of ${name}, which is an admin`);
        return true;
      }
    }
    throw new StartupError(`Others change the account ${name} (ADMIN_USERNAME) all the time: start again.`);
  }

  /** Returns false if the account has changed since it was found. */
  private async set(
    transaction: Transaction,
    name: string,
    found: NamedAccount | undefined,
    hash: string | null,
  ): Promise<boolean> {
    if (found === undefined) return hash !== null && (await this.create(transaction, name, hash));
    if (!(await this.admins.makeAdmin(transaction, found, hash))) return false;
    if (hash !== null) {
      const { passwordGeneration } = found;
      const [before, after] = [{ passwordGeneration }, { passwordGeneration: passwordGeneration + 1 }];
      const event = { action: 'account.password', subject: name, before, after } as const;
      await this.audit.record(transaction, event, NO_REQUEST);
    }
    const before = auditedSettings(found);
    const after = { ...AN_ADMIN, expiresAt: found.isExpired ? null : found.expiresAt };
    if (JSON.stringify(before) !== JSON.stringify(after)) {
      const event = { action: 'account.update', subject: name, before, after } as const;
      await this.audit.record(transaction, event, NO_REQUEST);
    }
    return true;
  }

  /** Returns false if the name is, or was, an account's. */
  private async create(transaction: Transaction, name: string, hash: string): Promise<boolean> {
    if (!(await this.admins.insert(transaction, name, hash))) return false;
    const after = { kind: 'user', ...AN_ADMIN };
    await this.audit.record(transaction, { action: 'account.create', subject: name, after }, NO_REQUEST);
    return true;
  }

  /** If another admin exists, a name that can't be used must not stop a registry that worked before. */
  private async refuseName(name: string, found: NamedAccount): Promise<void> {
    const what = found.isDeleted ? 'was deleted, and names are never used again' : 'is a robot';
    const sentence = `ADMIN_PASSWORD can't be applied: the account ${name} ${what}. Set ADMIN_USERNAME to another name`;
    if (!(await this.admins.anyAdmin())) throw new StartupError(`${sentence}.`);
    this.logger.warn(sentence);
  }

  private async makeOnce(name: string): Promise<FirstAdmin | undefined> {
    const file = new InitialPasswordFile(this.configuration.dataDir);
    if (await this.admins.anyAdmin()) return this.leftOver(name, file);
    const password = randomPassword();
    const hash = await this.hasher.hash(password);
    const isMade = await this.changes.run(async (transaction) => {
      if (await this.admins.anyAdmin(transaction)) return false;
      if (!(await this.create(transaction, name, hash))) throw nameTaken(name);
      // Before the commit: an account whose password nobody can know would lock everybody out. It may be
      // repeated, and at worst it is a password that no account has.
      await write(file, password);
      return true;
    });
    return isMade ? { name, initial: { text: password, file } } : undefined;
  }

  /** The password of an earlier start, if it is still the admin's. Otherwise its file is removed. */
  private async leftOver(name: string, file: InitialPasswordFile): Promise<FirstAdmin | undefined> {
    const text = await file.read();
    const found = text === undefined ? undefined : await this.admins.find(name);
    if (text === undefined || found === undefined) return undefined;
    const { matches } = await this.hasher.verify(found.passwordHash, text);
    if (matches) return { name, initial: { text, file } };
    await file.remove();
    return undefined;
  }
}

function canBeAdmin({ kind, isDeleted }: NamedAccount): boolean {
  return kind === 'user' && !isDeleted;
}

function nameTaken(name: string): StartupError {
  return new StartupError(
    `There is no admin, and the name ${name} (ADMIN_USERNAME) belongs or belonged to another account: set ` +
      'ADMIN_PASSWORD to make that user an admin, or ADMIN_USERNAME to another name.',
  );
}

async function write(file: InitialPasswordFile, password: string): Promise<void> {
  try {
    await file.write(password);
  } catch (cause) {
    const why = String(cause).replace(/^Error: /, '');
    throw new StartupError(
      `The first admin's password can't be written to ${file.path} (${why}): make DATA_DIR writable, or set ` +
        'ADMIN_PASSWORD or ADMIN_PASSWORD_FILE.',
      { cause },
    );
  }
}
