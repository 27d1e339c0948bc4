import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { AccountRights, SecretRights } from './account-rights.js';
import type { GrantSet } from './grant-set.js';
import { RightsStore } from './rights.store.js';
import { outlastOutage } from '../database/outlast-outage.js';
import { AccessEpoch, OUTAGE_MS } from './access-epoch.js';

const MAX_ENTRIES = 10_000;

/** What was read, and the epoch that was known before the read. */
interface Entry {
  readonly epoch: string;
  readonly value: unknown;
}

/**
 * Rights as of at most a second ago. They are read once per epoch and kept until it rises. That an account or
 * a secret does not exist is never kept.
 */
@Injectable()
export class LiveRights {
  private readonly entries = new LRUCache<string, Entry>({ max: MAX_ENTRIES });
  private readonly reads = new Map<string, Promise<unknown>>();

  constructor(
    private readonly epoch: AccessEpoch,
    private readonly rights: RightsStore,
  ) {}

  /** The account with an id. Undefined if it was deleted. */
  account(id: string): Promise<AccountRights | undefined> {
    return this.load(`account ${id}`, () => this.rights.accountById(id));
  }

  /** The account with a name. Undefined if there is none, or if it was deleted. */
  accountNamed(name: string): Promise<AccountRights | undefined> {
    return this.load(`name ${name}`, () => this.rights.account(name));
  }

  secret(id: string): Promise<SecretRights | undefined> {
    return this.load(`secret ${id}`, () => this.rights.secret(id));
  }

  /** The grants of callers without credentials. */
  anonymous(): Promise<GrantSet> {
    return this.load('anonymous', () => this.rights.anonymous());
  }

  private async load<T>(key: string, read: () => Promise<T>): Promise<T> {
    const epoch = this.epoch.fresh ?? (await this.epoch.current());
    const known = this.entries.get(key);
    // The key says what the value is.
    if (known?.epoch === epoch) return known.value as T;
    const shared = `${epoch} ${key}`;
    const running = this.reads.get(shared) ?? this.readOnce(shared, key, epoch, read);
    return running as Promise<T>;
  }

  private readOnce<T>(shared: string, key: string, epoch: string, read: () => Promise<T>): Promise<T> {
    const running = outlastOutage(OUTAGE_MS, read)
      .then((value) => {
        if (value !== undefined) this.entries.set(key, { epoch, value });
        return value;
      })
      .finally(() => this.reads.delete(shared));
    this.reads.set(shared, running);
    return running;
  }
}
