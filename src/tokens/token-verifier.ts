import { Injectable } from '@nestjs/common';
import { compactVerify, type CryptoKey, decodeProtectedHeader } from 'jose';
import { LRUCache } from 'lru-cache';
import { Configuration } from '../config/configuration.js';
import { KeyRing } from './key-ring.js';
import { ALGORITHM } from './signing-key.js';
import { readClaims, type TokenClaims } from './token-claims.js';
import { MAX_TOKEN_BYTES } from './token-issuer.js';
import { TokenInvalidError } from './token.errors.js';

/** A JWS in compact form (RFC 7515, section 3.1). A signature with P-256 has 64 bytes. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]{86}$/;

/** Clocks of replicas may differ by this much. */
const LEEWAY_SECONDS = 60;

/** How long after its end a token is good for what it began. The caller decides what that is. */
const LATE_SECONDS = 24 * 60 * 60;

/** The bounds of what is remembered by tokens. */
export const REMEMBERED_TOKENS = {
  max: 10_000,
  maxSize: 32 * 1024 * 1024,
  sizeCalculation: (_value: unknown, token: string) => token.length,
};

/** A token whose signature and claims are good. */
export interface VerifiedToken {
  readonly claims: TokenClaims;
  /** Its time is over, for less than 24 hours. */
  readonly isLate: boolean;
  /** Until then `isLate` stays as it is; in milliseconds since 1970. */
  readonly untilMs: number;
}

/** A token whose signature was verified with a key. */
interface Remembered {
  readonly kid: string;
  readonly claims: TokenClaims;
}

/** Verifies tokens. A token is verified once per process; a remembered one costs no cryptography. */
@Injectable()
export class TokenVerifier {
  private readonly remembered = new LRUCache<string, Remembered>(REMEMBERED_TOKENS);

  constructor(
    private readonly keys: KeyRing,
    private readonly configuration: Configuration,
  ) {}

  /**
   * @throws TokenInvalidError
   */
  async verify(token: string): Promise<VerifiedToken> {
    const known = this.remembered.get(token);
    // Its key may have been deleted.
    const isKnown = known !== undefined && (await this.keys.find(known.kid)) !== undefined;
    const { claims } = isKnown ? known : await this.verifyNew(token);
    const now = Date.now() / 1000;
    if (now < claims.nbf - LEEWAY_SECONDS) throw new TokenInvalidError('the token is not valid yet');
    const end = claims.exp + LEEWAY_SECONDS;
    const isLate = now >= end;
    const until = isLate ? end + LATE_SECONDS : end;
    if (now < until) return { claims, isLate, untilMs: until * 1000 };
    this.remembered.delete(token);
    throw new TokenInvalidError('the token has expired');
  }

  private async verifyNew(token: string): Promise<Remembered> {
    if (token.length > MAX_TOKEN_BYTES) throw new TokenInvalidError('the token is too long');
    const kid = keyIdOf(token);
    if (!TOKEN.test(token)) throw new TokenInvalidError(MALFORMED);
    const key = await this.keys.find(kid);
    if (key === undefined) throw new TokenInvalidError('the token is signed with an unknown key');
    const expected = { iss: await this.keys.issuer(), aud: this.configuration.authService };
    const verified = { kid, claims: readClaims(await payloadOf(token, key.publicKey), expected) };
    this.remembered.set(token, verified);
    return verified;
  }
}

/** The key's id in the header of a token, which must be as {@link TokenIssuer} makes it. */
function keyIdOf(token: string): string {
  const { alg, kid, typ, ...others } = headerOf(token);
  if (alg !== ALGORITHM) throw new TokenInvalidError(`the token is not signed with ${ALGORITHM}`);
  // `jwk`, `jku`, `x5u`, `x5c` and `crit` among them: a token must not choose its key.
  if (Object.keys(others).length > 0) {
    throw new TokenInvalidError('the header of the token has more parameters than alg, kid and typ');
  }
  if (typeof kid !== 'string' || typ !== 'JWT') throw new TokenInvalidError(MALFORMED);
  return kid;
}

function headerOf(token: string): Readonly<Record<string, unknown>> {
  try {
    return { ...decodeProtectedHeader(token) };
  } catch (cause) {
    throw new TokenInvalidError(MALFORMED, { cause });
  }
}

async function payloadOf(token: string, key: CryptoKey): Promise<unknown> {
  const { payload } = await compactVerify(token, key, { algorithms: [ALGORITHM] }).catch((cause: unknown) => {
    throw new TokenInvalidError('the signature of the token is wrong', { cause });
  });
  try {
    return JSON.parse(Buffer.from(payload).toString()) as unknown;
  } catch (cause) {
    throw new TokenInvalidError(MALFORMED, { cause });
  }
}

const MALFORMED = 'the token is malformed';
