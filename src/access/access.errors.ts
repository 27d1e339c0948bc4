import { RegistryError } from '../oci/errors.js';

/** Why credentials do not suffice (RFC 6750, section 3.1). */
export type AuthenticationFailure = 'invalid_token' | 'insufficient_scope';

/** The request needs credentials, or other ones. */
export class UnauthorizedError extends RegistryError {
  /** `WWW-Authenticate` of the response. The guard sets it: it depends on the request. */
  challenge: string | undefined;

  /** @param failure undefined if the request has no credentials. */
  constructor(
    message?: string,
    readonly failure?: AuthenticationFailure,
  ) {
    super('UNAUTHORIZED', message);
  }
}

/** Too many logins failed. Retry after `retryAfterSeconds`. */
export class TooManyLoginsError extends RegistryError {
  constructor(readonly retryAfterSeconds: number) {
    super('TOOMANYREQUESTS', 'too many failed logins: check the credentials, and retry later');
  }
}
