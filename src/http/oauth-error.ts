import { TokenRequestError } from '../tokens/token.errors.js';

/** OAuth's fields of an error (RFC 6749, section 5.2). */
export interface OauthError {
  readonly error: string;
  readonly error_description: string;
}

/** Errors of the endpoints for tokens carry both shapes: Docker's `errors`, and OAuth's. */
export function sendsOauthErrors(path: string): boolean {
  return /^\/auth(\/|$)/.test(path);
}

export function oauthError(status: number, description: string, exception: unknown): OauthError {
  return { error: codeOf(status, exception), error_description: description };
}

function codeOf(status: number, exception: unknown): string {
  if (exception instanceof TokenRequestError) return exception.failure;
  // The last two are of section 4.1.2.1: the RFC has none for failures of a token endpoint.
  if (status === 401) return 'invalid_grant';
  if (status === 429 || status === 503) return 'temporarily_unavailable';
  return status >= 500 ? 'server_error' : 'invalid_request';
}
