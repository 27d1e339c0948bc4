import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { LoginService } from '../accounts/logins/login.service.js';
import { isMeantAsSecret } from '../accounts/secrets/secret.js';
import type { RequestRecord } from '../observability/logged-request.js';
import { UnauthorizedError } from './access.errors.js';
import { parseAuthorization } from './authorization.js';
import { ANONYMOUS, type Caller, callerOf } from './caller.js';
import { clientOf } from './request-origin.js';
import { TokenLogin } from './token-login.js';

/** What a request may authenticate with. */
export interface AcceptedCredentials {
  /** Whether tokens of `/auth/token` are accepted: on `/v2` only. */
  readonly tokens: boolean;
}

/** Finds out who sent a request. */
@Injectable()
export class Authenticator {
  constructor(
    private readonly logins: LoginService,
    private readonly tokens: TokenLogin,
  ) {}

  /**
   * The caller; {@link ANONYMOUS} without an `Authorization` header. Accepts Basic with a password or a
   * secret, and Bearer with a secret or a token.
   *
   * @throws UnauthorizedError for all other credentials than valid ones: they never become anonymous;
   *   TooManyLoginsError, ContendedError as {@link LoginService.login}.
   */
  async authenticate(
    request: IncomingMessage & RequestRecord,
    accepted: AcceptedCredentials,
  ): Promise<Caller> {
    const header = request.headers.authorization;
    if (header === undefined) return ANONYMOUS;
    const credentials = parseAuthorization(header);
    if (credentials === undefined) {
      throw refusal(
        'the header Authorization is malformed: expected Basic with a user name and a password, or Bearer',
      );
    }
    if (credentials.scheme === 'basic') {
      const { name, password } = credentials;
      return callerOf(await this.logins.login(name, password, clientOf(request)));
    }
    if (isMeantAsSecret(credentials.token)) {
      return callerOf(await this.logins.loginWithSecret(credentials.token, clientOf(request)));
    }
    if (accepted.tokens) return this.tokens.callerOf(credentials.token);
    throw refusal(
      'tokens of /auth/token are for /v2: send a user name and a password, or a secret as Bearer',
    );
  }
}

function refusal(message: string): UnauthorizedError {
  return new UnauthorizedError(message, 'invalid_token');
}
