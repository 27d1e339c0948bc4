import { RegistryError } from '../oci/errors.js';

/** A JWT that is not accepted. The message says why, without any part of the token. */
export class TokenInvalidError extends RegistryError {
  constructor(message: string, options?: { readonly cause: unknown }) {
    super('UNAUTHORIZED', message, options);
  }
}

/** What is wrong with a request for a token (RFC 6749, section 5.2). */
export type TokenRequestFailure = 'invalid_request' | 'invalid_scope' | 'unsupported_grant_type';

/** A request for a token that is malformed. */
export class TokenRequestError extends RegistryError {
  constructor(
    readonly failure: TokenRequestFailure,
    message: string,
  ) {
    super('UNSUPPORTED', message);
  }
}

/** More scopes than a token can have. */
export class TooManyScopesError extends TokenRequestError {
  constructor(scopes: number, maxScopes: number) {
    super('invalid_scope', `${scopes} scopes are too many for one token: ask for at most ${maxScopes}`);
  }
}

/** The granted scopes don't fit into a token. */
export class TokenTooLargeError extends TokenRequestError {
  constructor(bytes: number, maxBytes: number) {
    super(
      'invalid_scope',
      `a token for these scopes has ${bytes} bytes; the limit is ${maxBytes}: ask for fewer scopes`,
    );
  }
}

/** Access is open: there is nothing that a token could be for. */
export class NoTokensError extends RegistryError {
  constructor() {
    super('UNSUPPORTED', 'access is open, so no tokens are needed, and none are issued');
  }
}
