import { isJsonObject, type JsonObject } from '../oci/json.js';
import { type ScopeAccess, toScope } from './scope.js';
import { TokenInvalidError } from './token.errors.js';

/** The credential that a token was issued for: `cid`. The token is valid only while the credential is. */
export type TokenOrigin =
  | { readonly kind: 'password'; readonly accountId: string; readonly generation: number }
  | { readonly kind: 'secret'; readonly id: string }
  | { readonly kind: 'anonymous' };

/** What a token says. */
export interface TokenClaims {
  /** The token's own id. */
  readonly jti: string;
  /** The account's name; empty in anonymous tokens. */
  readonly sub: string;
  readonly origin: TokenOrigin;
  /** What the token is for. Only live rights say whether it is allowed. */
  readonly access: readonly ScopeAccess[];
  /** In seconds since 1970. */
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
}

export function formatOrigin(origin: TokenOrigin): string {
  if (origin.kind === 'anonymous') return 'anonymous';
  if (origin.kind === 'secret') return `secret:${origin.id}`;
  return `password:${origin.accountId}:${origin.generation}`;
}

/**
 * Reads the claims of a token (RFC 7519, section 4) whose signature is valid.
 *
 * @throws TokenInvalidError if one is missing or malformed, or if the token is for another registry.
 */
export function readClaims(json: unknown, expected: { iss: string; aud: string }): TokenClaims {
  if (!isJsonObject(json)) throw new TokenInvalidError('the token has no claims');
  if (json['iss'] !== expected.iss) throw new TokenInvalidError('the token is from another installation');
  if (json['aud'] !== expected.aud) throw new TokenInvalidError('the token is for another service');
  return {
    jti: text(json, 'jti'),
    sub: text(json, 'sub'),
    origin: readOrigin(text(json, 'cid')),
    access: readAccess(json['access']),
    iat: time(json, 'iat'),
    nbf: time(json, 'nbf'),
    exp: time(json, 'exp'),
  };
}

function readOrigin(cid: string): TokenOrigin {
  const [kind, id = '', generation, ...rest] = cid.split(':');
  if (rest.length > 0) throw malformed('cid');
  if (kind === 'anonymous') return { kind };
  if (kind === 'secret' && id !== '') return { kind, id };
  if (kind === 'password' && /^\d{1,18}$/.test(id) && /^\d{1,9}$/.test(generation ?? ''))
    return { kind, accountId: id, generation: Number(generation) };
  throw malformed('cid');
}

/** Leaves out what this version does not know, as {@link parseScopes} does. */
function readAccess(value: unknown): ScopeAccess[] {
  if (!Array.isArray(value)) throw malformed('access');
  return value.flatMap((entry: unknown) => {
    const actions = isJsonObject(entry) ? entry['actions'] : undefined;
    if (!isJsonObject(entry) || !Array.isArray(actions)) throw malformed('access');
    const known = actions.filter((action) => typeof action === 'string');
    return toScope(text(entry, 'type'), text(entry, 'name'), known) ?? [];
  });
}

function text(json: JsonObject, claim: string): string {
  const value = json[claim];
  if (typeof value !== 'string') throw malformed(claim);
  return value;
}

function time(json: JsonObject, claim: string): number {
  const value = json[claim];
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw malformed(claim);
  return value;
}

function malformed(claim: string): TokenInvalidError {
  return new TokenInvalidError(`the token's ${claim} is missing or malformed`);
}
