import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { PeriodicTask } from '../maintenance/periodic-task.js';
import type { CertificateSource } from './certificate-source.js';
import { FileCertificate } from './file-certificate.js';
import type { KeyPair } from './key-pair.js';
import { OwnCertificate } from './own-certificate.js';
import { TlsAuthority } from './tls-authority.js';

/** The certificate of this process's server, and its renewal. */
@Injectable()
export class TlsCertificates implements OnModuleDestroy {
  private readonly source: CertificateSource | undefined;
  private renewal: PeriodicTask | undefined;

  constructor(configuration: Configuration, authority: TlsAuthority) {
    const { tlsMode } = configuration;
    if (tlsMode === 'files') this.source = new FileCertificate(configuration);
    if (tlsMode === 'auto') this.source = new OwnCertificate(authority, configuration);
  }

  /** The authority of `TLS=auto` that issued the current certificate. */
  get authority(): KeyPair | undefined {
    return this.source instanceof OwnCertificate ? this.source.issuedBy : undefined;
  }

  /**
   * Loads the certificate and keeps it current until the application closes. Does nothing without TLS.
   *
   * @param use called with the first certificate before this returns, and with each new one.
   * @throws StartupError if the files of `TLS=files` can't be used; errors of the database
   */
  async provide(use: (pair: KeyPair) => void): Promise<void> {
    const { source } = this;
    if (source === undefined) return;
    use(await source.load());
    this.renewal = new PeriodicTask({
      name: 'TLS certificate',
      intervalMs: source.intervalMs,
      run: async () => {
        const pair = await source.renew();
        if (pair !== undefined) use(pair);
        return false;
      },
    });
    this.renewal.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.renewal?.stop();
  }
}
