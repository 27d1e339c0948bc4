import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { UnauthorizedError } from './access.errors.js';
import { ANONYMOUS, type Caller } from './caller.js';
import { TokenLogin } from './token-login.js';

/** What a request may authenticate with. */
export interface AcceptedCredentials {
  /** Whether tokens of `/auth/token` are accepted. The admin API refuses them. */
  readonly tokens: boolean;
}

/** Finds out who sent a request. */
@Injectable()
export class Authenticator {
  constructor(private readonly tokens: TokenLogin) {}

  /**
   * The caller; {@link ANONYMOUS} without an `Authorization` header.
   *
   * @throws UnauthorizedError for all other credentials than valid ones: they never become anonymous.
   */
  authenticate({ headers }: IncomingMessage, accepted: AcceptedCredentials): Promise<Caller> {
    if (headers.authorization === undefined) return Promise.resolve(ANONYMOUS);
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(headers.authorization)?.[1];
    if (token !== undefined && accepted.tokens) return this.tokens.callerOf(token);
    return Promise.reject(new UnauthorizedError('the credentials are not valid', 'invalid_token'));
  }
}
