import { Logger } from '@nestjs/common';
import { issueCertificate } from './certificate-authority.js';
import { certificateNames, type NamingSettings } from './certificate-names.js';
import type { CertificateSource } from './certificate-source.js';
import { endOf, type KeyPair } from './key-pair.js';
import type { TlsAuthority } from './tls-authority.js';

const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * The certificate of `TLS=auto`, of Berth's own authority. It exists in this process's memory only. It is
 * renewed a month before its end, when the machine has a name or an address that it does not name, and when
 * the database has another authority.
 */
export class OwnCertificate implements CertificateSource {
  readonly intervalMs = 60_000;
  private readonly logger = new Logger(OwnCertificate.name);
  private names: readonly string[] = [];
  private issuer: KeyPair | undefined;
  private current: KeyPair | undefined;

  constructor(
    private readonly authority: TlsAuthority,
    private readonly configuration: NamingSettings,
    private readonly now: () => Date = () => new Date(),
    private readonly namesOf = certificateNames,
  ) {}

  async load(): Promise<KeyPair> {
    return this.issue(await this.authority.establish(this.now()), this.namesOf(this.configuration));
  }

  async renew(): Promise<KeyPair | undefined> {
    const authority = await this.authority.establish(this.now());
    const names = this.namesOf(this.configuration);
    const reason = this.reasonToRenew(authority, names);
    if (reason === undefined) return undefined;
    const pair = await this.issue(authority, names);
    this.logger.log(`a new certificate was made, because ${reason}`);
    return pair;
  }

  /** The authority that issued the current certificate. */
  get issuedBy(): KeyPair | undefined {
    return this.issuer;
  }

  private reasonToRenew(authority: KeyPair, names: readonly string[]): string | undefined {
    const { current } = this;
    if (current === undefined || this.issuer?.cert !== authority.cert) return 'the authority is another one';
    const added = names.filter((name) => !this.names.includes(name));
    if (added.length > 0) return `this machine now has ${added.join(', ')}`;
    const leftMs = endOf(current).getTime() - this.now().getTime();
    // The authority's own end can't be put off by a new certificate.
    const isLast = endOf(current).getTime() === endOf(authority).getTime();
    return leftMs < RENEW_BEFORE_MS && !isLast ? 'the last one ends soon' : undefined;
  }

  private async issue(authority: KeyPair, names: readonly string[]): Promise<KeyPair> {
    this.current = await issueCertificate(authority, names, this.now());
    [this.issuer, this.names] = [authority, names];
    return this.current;
  }
}
