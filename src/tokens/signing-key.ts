import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK } from 'jose';

/** Elliptic curve P-256 with SHA-256 (RFC 7518, section 3.4): short tokens, and all clients know it. */
export const ALGORITHM = 'ES256';

/** The public part of a key, as in `/auth/jwks` (RFC 7517). */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: typeof ALGORITHM;
  readonly use: 'sig';
}

/** A key with its private part, as it is stored. */
export interface StoredKey {
  /** The thumbprint of the public part (RFC 7638). */
  readonly kid: string;
  readonly jwk: { readonly x: string; readonly y: string; readonly d: string };
}

/** A key that this process can use. */
export interface KeyPair {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: PublicJwk;
}

export interface SigningKey extends KeyPair {
  /** The key signs from this time on, until that of the next key. */
  readonly signsFrom: Date;
}

export async function generateKey(): Promise<StoredKey> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const jwk = await exportJWK(privateKey);
  const { x = '', y = '', d = '' } = jwk;
  return { kid: await calculateJwkThumbprint(jwk), jwk: { x, y, d } };
}

export async function importKey({ kid, jwk }: StoredKey): Promise<KeyPair> {
  const { x, y, d } = jwk;
  const point = { kty: 'EC', crv: 'P-256', x, y } as const;
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...point, d }, ALGORITHM),
    importJWK(point, ALGORITHM),
  ]);
  // `importJWK` returns bytes for symmetric keys only.
  if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) throw new Error('not a key pair');
  const publicJwk: PublicJwk = { ...point, kid, alg: ALGORITHM, use: 'sig' };
  return { kid, privateKey, publicKey, jwk: publicJwk };
}
