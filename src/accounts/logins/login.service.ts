import { Injectable } from '@nestjs/common';
import { isMeantAsSecret } from '../secrets/secret.js';
import type { Login, LoginOrigin } from './login.js';
import { loginRefused } from './login.js';
import { PasswordLogins } from './password-logins.js';
import { SecretLogins } from './secret-logins.js';
import { SuccessfulLogins } from './successful-logins.js';

/** Logins of users and robots: who sends a name and a password, or a secret? */
@Injectable()
export class LoginService {
  constructor(
    private readonly passwords: PasswordLogins,
    private readonly secrets: SecretLogins,
    private readonly successes: SuccessfulLogins,
  ) {}

  /**
   * Logs in with a name, and a password or a secret of this account.
   *
   * @throws UnauthorizedError if the login is refused, with the same message whatever is wrong;
   *   TooManyLoginsError if too many failed before; ContendedError if too many passwords are being verified.
   */
  async login(name: string, password: string, origin: LoginOrigin): Promise<Login> {
    if (name === '' || password === '') return loginRefused();
    const logins = isMeantAsSecret(password) ? this.secrets : this.passwords;
    return this.recorded(await logins.login(name, password, origin), origin);
  }

  /**
   * Logs in with a secret alone.
   *
   * @throws UnauthorizedError, TooManyLoginsError
   */
  async loginWithSecret(secret: string, origin: LoginOrigin): Promise<Login> {
    return this.recorded(await this.secrets.login(undefined, secret, origin), origin);
  }

  private async recorded(login: Login, origin: LoginOrigin): Promise<Login> {
    await this.successes.record(login, origin);
    return login;
  }
}
