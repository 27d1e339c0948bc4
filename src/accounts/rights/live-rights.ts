import { Injectable } from '@nestjs/common';
import type { AccountRights, SecretRights } from './account-rights.js';
import { EpochCache } from './epoch-cache.js';
import { GrantSet } from './grant-set.js';
import { RightsStore } from './rights.store.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { AccessEpoch, OUTAGE_MS } from './access-epoch.js';

/** In grants. A grant takes about 300 bytes, so these are 75 MB. */
const MAX_SIZE = 250_000;

type Rights = AccountRights | SecretRights | GrantSet;

/**
 * Rights as of at most a second ago. They are read once per epoch and kept until it rises. That an account or
 * a secret does not exist is never kept.
 */
@Injectable()
export class LiveRights {
  private readonly known = new EpochCache<Rights>({ maxEntries: 10_000, maxSize: MAX_SIZE, sizeOf });
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

  private async load<T extends Rights | undefined>(key: string, read: () => Promise<T>): Promise<T> {
    const epoch = this.epoch.fresh ?? (await this.epoch.current());
    const known = this.known.get(epoch, key);
    // The key says what the value is.
    if (known !== undefined) return known as T;
    const shared = `${epoch} ${key}`;
    const running = this.reads.get(shared) ?? this.readOnce(shared, key, epoch, read);
    return running as Promise<T>;
  }

  private readOnce<T extends Rights | undefined>(
    shared: string,
    key: string,
    epoch: number,
    read: () => Promise<T>,
  ): Promise<T> {
    const running = outlastOutage(OUTAGE_MS, read)
      .then((value) => {
        if (value !== undefined) this.known.set(epoch, key, value);
        return value;
      })
      .finally(() => this.reads.delete(shared));
    this.reads.set(shared, running);
    return running;
  }
}

function sizeOf(rights: Rights): number {
  if (rights instanceof GrantSet) return 1 + rights.grants.length;
  return 'grants' in rights ? 1 + rights.grants.grants.length : 1;
}
