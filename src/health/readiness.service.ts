import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { BoundedProbe } from './bounded-probe.js';

/** Longer than a healthy dependency ever takes, shorter than common orchestrators wait for a probe's answer. */
export const PROBE_TIMEOUT_MS = 2_000;

/** What readiness depends on. */
export const DEPENDENCIES = ['database', 'storage'] as const;
export type Dependency = (typeof DEPENDENCIES)[number];

/** Whether each dependency works now. */
export type Checks = Record<Dependency, 'ok' | 'failed'>;

/** Whether requests can be served now: Postgres answers a query, and the driver could store bytes. */
@Injectable()
export class ReadinessService {
  private readonly logger = new Logger('Readiness');
  private readonly probes: Record<Dependency, BoundedProbe>;
  private readonly failing = new Set<Dependency>();

  constructor(dataSource: DataSource, @Inject(STORAGE_DRIVER) driver: StorageDriver) {
    this.probes = {
      database: new BoundedProbe(async () => dataSource.query('SELECT 1'), PROBE_TIMEOUT_MS),
      storage: new BoundedProbe(
        async () => driver.check({ signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }),
        PROBE_TIMEOUT_MS,
      ),
    };
  }

  /** Never rejects; takes {@link PROBE_TIMEOUT_MS} at the most. Why something failed is in the log alone. */
  async check(): Promise<Checks> {
    const [database, storage] = await Promise.all([this.checkOne('database'), this.checkOne('storage')]);
    return { database, storage };
  }

  private async checkOne(dependency: Dependency): Promise<'ok' | 'failed'> {
    const failure = await this.probes[dependency].failure();
    this.logTransition(dependency, failure);
    return failure === undefined ? 'ok' : 'failed';
  }

  /** A line when it breaks and one when it is well again: probes come every few seconds. */
  private logTransition(dependency: Dependency, failure: Error | undefined): void {
    const failedBefore = this.failing.has(dependency);
    if (failure !== undefined && !failedBefore) {
      this.failing.add(dependency);
      this.logger.error({ err: failure }, `not ready: the ${dependency} failed its check`);
    } else if (failure === undefined && failedBefore) {
      this.failing.delete(dependency);
      this.logger.warn(`the ${dependency} works again`);
    }
  }
}
