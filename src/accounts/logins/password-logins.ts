import { Injectable, Logger } from '@nestjs/common';
import { ConcurrencyLimiter } from '../../database/concurrency-limiter.js';
import { isAccountName } from '../users/account-name.js';
import { LiveRights } from '../rights/live-rights.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { type PasswordHolder, PasswordStore } from '../passwords/password.store.js';
import { clientNetwork } from './client-network.js';
import { FailedLogins } from './failed-logins.js';
import { isUsable, type Login, loginRefused, type LoginOrigin } from './login.js';
import { type VerifiedPassword, VerifiedPasswords } from './verified-passwords.js';

/**
 * The passwords of a name that one address tries are verified one after the other: otherwise all of a burst
 * would be tried before the first is counted.
 */
const LIMITS = {
  maxRunning: 128,
  maxRunningPerKey: 1,
  maxWaiting: 1_000,
  maxWaitingPerKey: 16,
  waitMs: 10_000,
};

/** Logins with a name and a password. */
@Injectable()
export class PasswordLogins {
  private readonly logger = new Logger(PasswordLogins.name);
  private readonly limiter = new ConcurrencyLimiter(LIMITS);
  private readonly verified = new VerifiedPasswords();
  private readonly running = new Map<string, Promise<VerifiedPassword | undefined>>();

  constructor(
    private readonly passwords: PasswordStore,
    private readonly hasher: PasswordHasher,
    private readonly failures: FailedLogins,
    private readonly rights: LiveRights,
  ) {}

  /**
   * With a password that was verified in the last minute, this needs no statement and no hash.
   *
   * @throws UnauthorizedError, TooManyLoginsError; ContendedError if too many passwords wait.
   */
  async login(name: string, password: string, origin: LoginOrigin): Promise<Login> {
    const key = this.verified.keyOf(name, password);
    const known = await this.loginOf(this.verified.get(key));
    if (known !== undefined) return known;
    const verified = await this.verifyOnce(key, name, password, origin);
    // Undefined also if the account changed just now, or is too new for this process to know it.
    return (await this.loginOf(verified)) ?? loginRefused();
  }

  /** What a verified password allows now; undefined if the account or the password has changed. */
  private async loginOf(verified: VerifiedPassword | undefined): Promise<Login | undefined> {
    if (verified === undefined) return undefined;
    const { accountId, generation } = verified;
    const account = await this.rights.account(accountId);
    if (account === undefined || !isUsable(account) || account.passwordGeneration > generation)
      return undefined;
    return { account, via: { kind: 'password', generation }, ceiling: null };
  }

  /** Requests that send the same at the same time share one verification, which counts once if it fails. */
  private verifyOnce(
    key: string,
    name: string,
    password: string,
    origin: LoginOrigin,
  ): Promise<VerifiedPassword | undefined> {
    const network = clientNetwork(origin.clientAddress);
    const shared = `${key} ${network}`;
    const running =
      this.running.get(shared) ??
      this.limiter
        .run([`${network} ${name}`], () => this.verify(key, name, password, origin))
        .finally(() => this.running.delete(shared));
    this.running.set(shared, running);
    return running;
  }

  private async verify(
    key: string,
    name: string,
    password: string,
    origin: LoginOrigin,
  ): Promise<VerifiedPassword | undefined> {
    const attempt = await this.failures.attempt(name, origin);
    const holder = isAccountName(name) ? await this.passwords.find(name) : undefined;
    const { matches, needsRehash } = await this.hasher.verify(holder?.passwordHash ?? null, password);
    if (holder === undefined || !matches || !isUsable(holder)) {
      await attempt.fail();
      return undefined;
    }
    if (needsRehash) await this.rehash(holder, password);
    const verified = { accountId: holder.id, generation: holder.generation };
    this.verified.add(key, verified);
    return verified;
  }

  /** Replaces a hash of an htpasswd file, or one with old parameters. The next login tries it again. */
  private async rehash({ id, passwordHash }: PasswordHolder, password: string): Promise<void> {
    try {
      if (passwordHash === null) return;
      await this.passwords.rehash(id, passwordHash, await this.hasher.hash(password));
    } catch (error) {
      this.logger.warn({ err: error, accountId: id }, 'a password could not be hashed again');
    }
  }
}
