import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { READS } from '../database/connection/connections.js';
import { DatabaseSpace } from '../database/database-space.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { StorageFullError } from '../storage/storage.errors.js';
import { BoundedProbe } from './bounded-probe.js';

/**
 * Longer than a healthy dependency ever takes, shorter than common orchestrators wait for a probe's answer.
 */
export const PROBE_TIMEOUT_MS = 2_000;

/** What readiness depends on. */
export const DEPENDENCIES = ['database', 'storage'] as const;
export type Dependency = (typeof DEPENDENCIES)[number];

/** Whether a dependency works now; `full`: it can be read, and has no space left. */
export type Check = 'ok' | 'full' | 'failed';
export type Checks = Record<Dependency, Check>;

/**
 * Whether requests can be served now: Postgres answers a query, and the driver could store bytes in the
 * database's storage. A full disk serves pulls: a load balancer that took the replicas on it out of service
 * would take all of them.
 */
@Injectable()
export class ReadinessService {
  private readonly logger = new Logger('Readiness');
  private readonly probes: Record<Dependency, BoundedProbe>;
  private readonly last: Checks = { database: 'ok', storage: 'ok' };

  constructor(
    @Inject(READS) reads: DataSource,
    @Inject(STORAGE_DRIVER) driver: StorageDriver,
    private readonly space: DatabaseSpace,
    identity: StorageIdentity,
  ) {
    this.probes = {
      database: new BoundedProbe(async () => reads.query('SELECT 1'), PROBE_TIMEOUT_MS),
      storage: new BoundedProbe(async () => {
        const options = { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) };
        // First: nothing is to be tried in a storage that is another one.
        await identity.verifyStorage(options);
        await driver.check(options);
      }, PROBE_TIMEOUT_MS),
    };
  }

  /** Never rejects; takes {@link PROBE_TIMEOUT_MS} at the most. Why something failed is in the log alone. */
  async check(): Promise<Checks> {
    const [database, storage] = await Promise.all([this.checkOne('database'), this.checkOne('storage')]);
    const isFull = database === 'ok' && (await this.space.isFull());
    return { database: isFull ? 'full' : database, storage };
  }

  private async checkOne(dependency: Dependency): Promise<Check> {
    const failure = await this.probes[dependency].failure();
    const check = checkOf(failure);
    this.logTransition(dependency, check, failure);
    return check;
  }

  /** A line for each change: probes come every few seconds. */
  private logTransition(dependency: Dependency, check: Check, failure: Error | undefined): void {
    if (this.last[dependency] === check) return;
    this.last[dependency] = check;
    if (check === 'failed')
      this.logger.error({ err: failure }, `not ready: the ${dependency} failed its check`);
    else if (check === 'full') this.logger.error({ err: failure }, `the ${dependency} is full: pulls go on`);
    else this.logger.warn(`the ${dependency} works again`);
  }
}

function checkOf(failure: Error | undefined): Check {
  if (failure === undefined) return 'ok';
  return failure instanceof StorageFullError ? 'full' : 'failed';
}
