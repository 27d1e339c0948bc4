import { timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LiveRights } from '../rights/live-rights.js';
import { UnauthorizedError } from './login.errors.js';
import { parseSecret } from '../secrets/secret.js';
import { SecretUses } from '../secrets/secret-uses.js';
import { FailedLogins } from './failed-logins.js';
import { isInForce, isUsable, type Login, loginRefused, type LoginOrigin } from './login.js';

/** Logins with a secret. They need no hash for passwords, and no statement for a secret that is known. */
@Injectable()
export class SecretLogins {
  constructor(
    private readonly failures: FailedLogins,
    private readonly rights: LiveRights,
    private readonly uses: SecretUses,
  ) {}

  /**
   * A secret that is good is accepted whatever failed before: it can't have been guessed.
   *
   * @param name of its account; undefined if the client sent the secret alone.
   * @throws UnauthorizedError, TooManyLoginsError
   */
  async login(name: string | undefined, text: string, origin: LoginOrigin): Promise<Login> {
    const parsed = parseSecret(text);
    if (parsed === undefined) {
      // Nothing can be guessed with it, so it is not counted.
      throw new UnauthorizedError(
        'the secret is mistyped or incomplete: its checksum is wrong; copy it again, or create another one',
        'invalid_token',
      );
    }
    const { id, sha256 } = parsed;
    const secret = await this.rights.secret(id);
    const account = secret && (await this.rights.account(secret.accountId));
    const isGood =
      secret !== undefined &&
      timingSafeEqual(secret.sha256, sha256) &&
      !secret.isRevoked &&
      isInForce(secret) &&
      account !== undefined &&
      isUsable(account) &&
      (name === undefined || name === account.name);
    if (!isGood) {
      // No account has a name with a space.
      const attempt = await this.failures.attempt(name ?? account?.name ?? `secret ${id}`, origin);
      await attempt.fail();
      return loginRefused();
    }
    this.uses.add(id);
    return { account, via: { kind: 'secret', id }, ceiling: secret.ceiling };
  }
}
