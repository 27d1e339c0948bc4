import { Injectable } from '@nestjs/common';
import { AccessEpoch } from '../accounts/rights/access-epoch.js';
import type { AccountRights, SecretRights } from '../accounts/rights/account-rights.js';
import { EpochCache } from '../accounts/rights/epoch-cache.js';
import { LiveRights } from '../accounts/rights/live-rights.js';
import { isInForce } from '../accounts/logins/login.js';
import type { TokenClaims, TokenOrigin } from '../tokens/token-claims.js';
import { REMEMBERED_TOKENS, TokenVerifier, type VerifiedToken } from '../tokens/token-verifier.js';
import { TokenInvalidError } from '../tokens/token.errors.js';
import { UnauthorizedError } from './access.errors.js';
import type { Caller } from './caller.js';

/** The approximate memory of a grant. Each caller may be the only one that still has its grants. */
const GRANT_BYTES = 300;

/** A caller, while rights don't change. */
interface Known {
  readonly caller: Caller;
  /** When the token or something behind it ends, in milliseconds since 1970. */
  readonly untilMs: number;
}

/**
 * Turns a token into a caller. The token says who. Whether the account and the credential behind the token
 * are still good, and what the caller may do, is looked up at each request.
 */
@Injectable()
export class TokenLogin {
  /** Small GETs send the same token a thousand times a second. */
  private readonly known = new EpochCache<Known>({
    maxEntries: REMEMBERED_TOKENS.max,
    maxSize: REMEMBERED_TOKENS.maxSize,
    sizeOf: ({ caller }, token) => token.length + GRANT_BYTES * caller.grants.grants.length,
  });

  constructor(
    private readonly verifier: TokenVerifier,
    private readonly rights: LiveRights,
    private readonly epoch: AccessEpoch,
  ) {}

  /**
   * Also the caller of a late token: see {@link LateTokens}.
   *
   * @throws UnauthorizedError
   */
  async callerOf(token: string): Promise<Caller> {
    const epoch = this.epoch.fresh ?? (await this.epoch.current());
    const known = this.known.get(epoch, token);
    if (known !== undefined && Date.now() < known.untilMs) return known.caller;
    const { claims, isLate, untilMs } = await this.verify(token);
    const { account, secret, ...caller } = await this.liveCaller(claims, isLate);
    const ends = [account, secret].map((each) => each?.expiresAt?.getTime() ?? Infinity);
    const read = { caller: { ...caller, account }, untilMs: Math.min(untilMs, ...ends) };
    this.known.set(epoch, token, read);
    return read.caller;
  }

  private async liveCaller(
    { jti: id, access, origin, sub }: TokenClaims,
    isLate: boolean,
  ): Promise<Caller & { readonly secret: SecretRights | undefined }> {
    const credential = { kind: 'token', id, access, isLate } as const;
    if (origin.kind === 'anonymous') {
      const grants = await this.rights.anonymous();
      // An anonymous token needs what it needed to be issued.
      if (grants.grants.length === 0) throw refusal('anonymous access has ended');
      return { name: null, account: null, grants, credential, ceiling: null, secret: undefined };
    }
    const { account, secret } = await this.behind(origin);
    if (account.name !== sub) throw refusal('the account of the token does not exist');
    return {
      name: sub,
      account,
      grants: account.grants,
      credential,
      ceiling: secret?.ceiling ?? null,
      secret,
    };
  }

  private async verify(token: string): Promise<VerifiedToken> {
    try {
      return await this.verifier.verify(token);
    } catch (error) {
      if (error instanceof TokenInvalidError) throw refusal(error.message);
      throw error;
    }
  }

  /** The account, and the credential that the token was issued for. @throws UnauthorizedError */
  private async behind(
    origin: Exclude<TokenOrigin, { kind: 'anonymous' }>,
  ): Promise<{ account: AccountRights; secret?: SecretRights }> {
    if (origin.kind === 'password') {
      const account = await this.account(origin.accountId);
      // A newer generation: another process has set the password, and this one will know it within a second.
      if (account.passwordGeneration > origin.generation) throw refusal('the password has changed');
      return { account };
    }
    const secret = await this.rights.secret(origin.id);
    if (secret === undefined || secret.isRevoked) throw refusal('the secret was revoked');
    if (!isInForce(secret)) throw refusal('the secret has expired');
    return { account: await this.account(secret.accountId), secret };
  }

  private async account(id: string): Promise<AccountRights> {
    const account = await this.rights.account(id);
    if (account === undefined) throw refusal('the account of the token does not exist');
    if (account.isDisabled) throw refusal('the account is disabled');
    if (!isInForce(account)) throw refusal('the account has expired');
    return account;
  }
}

function refusal(message: string): UnauthorizedError {
  return new UnauthorizedError(message, 'invalid_token');
}
