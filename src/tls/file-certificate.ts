import { Logger } from '@nestjs/common';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { describeInvalidity, readKeyPair } from './certificate-files.js';
import type { CertificateSource } from './certificate-source.js';
import { endOf, type KeyPair } from './key-pair.js';

/**
 * The certificate of `TLS=files`. The files are read again and again, because they may be links, or links of
 * directories, that are exchanged (as Kubernetes does it): then no event is about the files themselves.
 */
export class FileCertificate implements CertificateSource {
  readonly intervalMs = 10_000;
  private readonly logger = new Logger(FileCertificate.name);
  private current: KeyPair | undefined;
  /** Logged once, not at each look. */
  private lastProblem: string | undefined;

  constructor(private readonly configuration: Pick<Configuration, 'tlsCertFile' | 'tlsKeyFile'>) {}

  async load(): Promise<KeyPair> {
    this.current = await readKeyPair(this.configuration);
    return this.current;
  }

  async renew(): Promise<KeyPair | undefined> {
    try {
      const found = await readKeyPair(this.configuration);
      const { current } = this;
      this.lastProblem = undefined;
      if (found.cert === current?.cert && found.key === current.key) return undefined;
      this.current = found;
      this.logger.log(`a new certificate from TLS_CERT_FILE is used, valid to ${endOf(found).toISOString()}`);
      const invalidity = describeInvalidity(found, new Date());
      if (invalidity !== undefined) this.logger.warn(`TLS_CERT_FILE: ${invalidity}`);
      return found;
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      if (error.message !== this.lastProblem) {
        this.logger.warn(
          `the certificate stays as it is, because the new one can't be used: ${error.message}`,
        );
      }
      this.lastProblem = error.message;
      return undefined;
    }
  }
}
