import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import { Configuration } from '../config/configuration.js';
import { KeyRing } from './key-ring.js';
import { KeyRotation } from './key-rotation.js';
import type { ScopeAccess } from './scope.js';
import { ALGORITHM } from './signing-key.js';
import { formatOrigin, type TokenOrigin } from './token-claims.js';
import { TokenTooLargeError } from './token.errors.js';

/** Proxies refuse headers above 8 KiB, and a request has others. */
export const MAX_TOKEN_BYTES = 7 * 1024;

/** A replica whose clock is behind accepts the token as well. */
const NOT_BEFORE_SECONDS = 60;

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
}

/** Issues tokens: JWTs that say who the caller is, and what for. */
@Injectable()
export class TokenIssuer {
  constructor(
    private readonly keys: KeyRing,
    private readonly rotation: KeyRotation,
    private readonly configuration: Configuration,
  ) {}

  /**
   * @param name of the account; null for an anonymous token.
   * @throws TokenTooLargeError
   */
  async issue(
    name: string | null,
    origin: TokenOrigin,
    access: readonly ScopeAccess[],
  ): Promise<IssuedToken> {
    const key = (await this.keys.signer()) ?? (await this.rotation.firstKey());
    const { authService, authTokenTtlSeconds: expiresInSeconds } = this.configuration;
    const now = Math.floor(Date.now() / 1000);
    const token = await new SignJWT({ access, cid: formatOrigin(origin) })
      .setProtectedHeader({ alg: ALGORITHM, kid: key.kid, typ: 'JWT' })
      .setIssuer(await this.keys.issuer())
      .setAudience(authService)
      .setSubject(name ?? '')
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setNotBefore(now - NOT_BEFORE_SECONDS)
      .setExpirationTime(now + expiresInSeconds)
      .sign(key.privateKey);
    if (token.length > MAX_TOKEN_BYTES) throw new TokenTooLargeError(token.length, MAX_TOKEN_BYTES);
    return { token, expiresInSeconds };
  }
}
