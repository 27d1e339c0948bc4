import { randomUUID } from 'node:crypto';
import { importJWK, type JWTPayload, SignJWT } from 'jose';

/** Runs SQL on a registry's database and returns the rows. */
export type Query = <Row extends object>(sql: string, parameters?: unknown[]) => Promise<Row[]>;

/** What a test changes of a token that is good otherwise. Undefined removes a claim. */
export interface TokenChanges {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Seconds since it was issued: an old one, as nobody waits for it. */
  readonly ageSeconds?: number;
}

interface KeyRow {
  readonly kid: string;
  readonly jwk: { readonly x: string; readonly y: string; readonly d: string };
  readonly issuer: string;
}

/** Signs a token with the newest key in the database, as who reads the database can. */
export async function signedToken(query: Query, changes: TokenChanges = {}): Promise<string> {
  const [row] = await query<KeyRow>(
    `SELECT kid, private_jwk AS jwk, issuer::text FROM signing_keys, access_state
      ORDER BY signs_from DESC LIMIT 1`,
  );
  if (row === undefined) throw new Error('there is no signing key yet');
  const key = await importJWK({ kty: 'EC', crv: 'P-256', ...row.jwk }, 'ES256');
  const header = { alg: 'ES256', kid: row.kid, typ: 'JWT', ...changes.header };
  return new SignJWT(claimsOf(row.issuer, changes)).setProtectedHeader(header).sign(key);
}

/** The claims of an anonymous token for an hour, with changes. */
export function claimsOf(issuer: string, { claims = {}, ageSeconds = 0 }: TokenChanges): JWTPayload {
  const issuedAt = Math.floor(Date.now() / 1000) - ageSeconds;
  return {
    ...{ iss: issuer, aud: 'berth', sub: '', jti: randomUUID(), cid: 'anonymous', access: [] },
    ...{ iat: issuedAt, nbf: issuedAt - 60, exp: issuedAt + 3600 },
    ...claims,
  };
}
