import type { KeyPair } from './key-pair.js';

/** Where the server's certificate is from. */
export interface CertificateSource {
  /** How often to ask for a newer one. */
  readonly intervalMs: number;
  /** The certificate to start with. @throws StartupError; errors of the database */
  load(): Promise<KeyPair>;
  /** A certificate to use from now on; undefined: the current one is still right. */
  renew(): Promise<KeyPair | undefined>;
}
