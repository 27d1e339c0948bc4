import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { isAllowed } from '../access/decide.js';
import { formatScopes, type ScopeAccess } from '../tokens/scope.js';
import type { TokenOrigin } from '../tokens/token-claims.js';
import { TokenIssuer } from '../tokens/token-issuer.js';

/**
 * A response with a token (distribution, "Token Authentication Specification"; RFC 6749, section 5.1).
 *
 * Without `issued_at`: docker, containers/image and buildkit add `expires_in` to it and compare the sum with
 * their own clock. Without it they count from the time of the response. Without `refresh_token`: docker would
 * store it and send it for ever, and some tools can't read what it stores.
 */
export interface TokenResponse {
  readonly token: string;
  /** The same token: OAuth's name. */
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  /** What was granted, which may be less than what was asked for. */
  readonly scope: string;
}

/** Issues tokens to callers that have logged in. */
@Injectable()
export class TokenService {
  constructor(private readonly issuer: TokenIssuer) {}

  /** @throws TokenTooLargeError */
  async issue(caller: Caller, requested: readonly ScopeAccess[]): Promise<TokenResponse> {
    const granted = requested.flatMap((scope) => grantedPart(caller, scope) ?? []);
    const { token, expiresInSeconds } = await this.issuer.issue(caller.name, originOf(caller), granted);
    return {
      token,
      access_token: token,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
      scope: formatScopes(granted),
    };
  }
}

/** What the caller may do of it now. Later, rights are looked up again at each request. */
function grantedPart(caller: Caller, scope: ScopeAccess): ScopeAccess | undefined {
  if (scope.type === 'registry') {
    return isAllowed(caller, { registry: scope.name, action: 'read' }) ? scope : undefined;
  }
  const { name: repository } = scope;
  const actions = scope.actions.filter((action) => isAllowed(caller, { repository, action }));
  return actions.length === 0 ? undefined : { ...scope, actions };
}

/** What the token depends on. */
function originOf({ credential, account }: Caller): TokenOrigin {
  if (credential.kind === 'secret') return { kind: 'secret', id: credential.id };
  if (credential.kind === 'password' && account !== null)
    return { kind: 'password', accountId: account.id, generation: credential.generation };
  return { kind: 'anonymous' };
}
