import { Inject, Injectable } from '@nestjs/common';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { StorageFullError, StorageIdentityError } from '../storage/storage.errors.js';
import { BoundedProbe } from './bounded-probe.js';
import { CHECK_TIMEOUT_MS, failed, type Finding, OK, UNKNOWN } from './check.js';

/** Checks the storage: whether it is the one of the database, can be read, and accepts bytes. */
@Injectable()
export class StorageChecks {
  private readonly probe = new BoundedProbe(() => this.look(), CHECK_TIMEOUT_MS);

  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    private readonly identity: StorageIdentity,
  ) {}

  /** Never rejects. */
  async run(): Promise<Record<'storage' | 'identity', Finding>> {
    const outcome = await this.probe.outcome();
    if (!('failure' in outcome)) return { storage: OK, identity: OK };
    const { failure } = outcome;
    if (failure instanceof StorageIdentityError) return { storage: UNKNOWN, identity: failed(failure) };
    if (failure instanceof StorageFullError)
      return { storage: { status: 'full', reason: failure }, identity: OK };
    return { storage: failed(failure), identity: UNKNOWN };
  }

  private async look(): Promise<void> {
    const options = { signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) };
    // First: the check must not write to a wrong storage.
    await this.identity.verifyStorage(options);
    await this.driver.check(options);
  }
}
