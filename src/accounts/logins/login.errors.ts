import { RegistryError } from '../../oci/errors.js';

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

/** Too many logins with this name from this address failed, or too many from the address. */
export class TooManyLoginsError extends RegistryError {
  /** @param retryAfterSeconds when a login is accepted again, if no more fail. */
  constructor(readonly retryAfterSeconds: number) {
    super(
      'TOOMANYREQUESTS',
      `too many failed logins from this address: correct the password that your client has stored, and retry in ${retryAfterSeconds} s`,
    );
  }
}
