import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { READS } from '../database/connection/connections.js';
import { DatabaseSpace } from '../database/database-space.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { StorageFullError } from '../storage/storage.errors.js';
import { BoundedProbe } from './bounded-probe.js';

/**
 * Longer than a healthy dependency takes, shorter than the probe timeout of common orchestrators.
 */
export const PROBE_TIMEOUT_MS = 2_000;

/** The dependencies of readiness. */
export const DEPENDENCIES = ['database', 'storage'] as const;
export type Dependency = (typeof DEPENDENCIES)[number];

/** The state of a dependency; `full`: it can be read but has no space left. */
export type Check = 'ok' | 'full' | 'failed';
export type Checks = Record<Dependency, Check>;

/**
 * Checks whether requests can be served now: Postgres runs a query, and the storage is the right one and
 * accepts bytes. A full disk counts as ready, because it still serves pulls and a load balancer would remove
 * all replicas that share it.
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
        // First: the check must not write to a wrong storage.
        await identity.verifyStorage(options);
        await driver.check(options);
      }, PROBE_TIMEOUT_MS),
    };
  }

  /** Never rejects; takes at most {@link PROBE_TIMEOUT_MS}. Only the log has the reason of a failure. */
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

  /** Logs changes only: probes come every few seconds. */
  private logTransition(dependency: Dependency, check: Check, failure: Error | undefined): void {
    if (this.last[dependency] === check) return;
    this.last[dependency] = check;
    if (check === 'failed')
      this.logger.error({ err: failure }, `not ready: the ${dependency} failed its check`);
    else if (check === 'full')
      this.logger.error({ err: failure }, `the ${dependency} is full; pulls still work`);
    else this.logger.warn(`the ${dependency} works again`);
  }
}

function checkOf(failure: Error | undefined): Check {
  if (failure === undefined) return 'ok';
  return failure instanceof StorageFullError ? 'full' : 'failed';
}
