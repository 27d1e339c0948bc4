import { Injectable, Logger } from '@nestjs/common';
import { createAuthority } from './certificate-authority.js';
import { endOf, fingerprintOf, type KeyPair } from './key-pair.js';
import { TlsAuthorityStore } from './tls-authority.store.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** From then on, each day's first look at the authority is a warning in the log. */
const WARN_BEFORE_MS = 365 * DAY_MS;
/** A certificate that ends earlier than this is of no use to anybody. */
const REPLACE_BEFORE_MS = DAY_MS;

/**
 * The certificate authority of `TLS=auto`: one per database, made by the first process that asks for it.
 * When it has ended (after ten years), it is replaced by a new one, which clients must be told to trust.
 */
@Injectable()
export class TlsAuthority {
  private readonly logger = new Logger(TlsAuthority.name);
  private warnedAt = -Infinity;

  constructor(private readonly store: TlsAuthorityStore) {}

  /** Returns the authority, the same one to all processes. @throws errors of the database */
  async establish(now = new Date()): Promise<KeyPair> {
    const found = await this.store.read();
    if (found === undefined) {
      await this.store.insert(await createAuthority(now));
      return this.reread();
    }
    const leftMs = endOf(found).getTime() - now.getTime();
    if (leftMs > REPLACE_BEFORE_MS) {
      if (leftMs < WARN_BEFORE_MS) this.warnOfEnd(found, now);
      return found;
    }
    await this.store.replace(found, await createAuthority(now));
    const replacement = await this.reread();
    this.logger.warn(
      `the certificate authority ended on ${endOf(found).toISOString()} and was replaced: ` +
        `clients must trust the new one at /auth/ca.crt, SHA-256 ${fingerprintOf(replacement)}`,
    );
    return replacement;
  }

  /** What the database has: another process may have been first. */
  private async reread(): Promise<KeyPair> {
    const authority = await this.store.read();
    if (authority === undefined) throw new Error('the table tls_authority has lost its row: start again');
    return authority;
  }

  private warnOfEnd(authority: KeyPair, now: Date): void {
    if (now.getTime() - this.warnedAt < DAY_MS) return;
    this.warnedAt = now.getTime();
    this.logger.warn(
      `the certificate authority ends on ${endOf(authority).toISOString()}, and is replaced then: ` +
        'see docs/access.md to replace it earlier',
    );
  }
}
