import { X509Certificate } from 'node:crypto';

/** A certificate and its private key, in PEM. */
export interface KeyPair {
  /** The server's certificate, followed by its intermediate ones. */
  readonly cert: string;
  readonly key: string;
}

/** The end of the validity of the first certificate. */
export function endOf({ cert }: Pick<KeyPair, 'cert'>): Date {
  return new Date(new X509Certificate(cert).validTo);
}

/** SHA-256 of the first certificate, as browsers and `openssl x509 -fingerprint` show it: `3F:A2:…`. */
export function fingerprintOf({ cert }: Pick<KeyPair, 'cert'>): string {
  return new X509Certificate(cert).fingerprint256;
}
