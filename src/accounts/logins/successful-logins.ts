import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { clientNetwork } from './client-network.js';
import type { Login, LoginOrigin } from './login.js';
import { LoginStore } from './login.store.js';

const MAX_RECORDED = 10_000;

/** How long this process knows that a login is recorded. The database records it once a day. */
const RECORDED_MS = 60 * 60 * 1000;

/**
 * Records logins, once a day for each account, network and credential: for the audit log, and for the limits
 * of {@link FailedLogins}.
 */
@Injectable()
export class SuccessfulLogins {
  private readonly logger = new Logger(SuccessfulLogins.name);
  private readonly recorded = new LRUCache<string, true>({ max: MAX_RECORDED, ttl: RECORDED_MS });

  constructor(private readonly store: LoginStore) {}

  /** A failure is logged, and does not refuse the login. */
  async record({ account, via }: Login, origin: LoginOrigin): Promise<void> {
    const credential = via.kind === 'password' ? via.kind : via.id;
    const key = `${account.id} ${credential} ${origin.clientAddress ?? ''}`;
    if (this.recorded.has(key)) return;
    this.recorded.set(key, true);
    try {
      await this.store.succeeded(account, clientNetwork(origin.clientAddress), credential, origin);
    } catch (error) {
      this.recorded.delete(key);
      this.logger.warn({ err: error, account: account.name }, 'a login could not be recorded');
    }
  }
}
