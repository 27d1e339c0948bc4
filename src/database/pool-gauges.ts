import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { poolConnections, poolLimit, poolWaiting } from '../observability/metrics/database.metrics.js';
import { beforeScrape } from '../observability/metrics/registry.js';
import { READS } from './connection/connections.js';
import { measureStatements } from './statement-durations.js';

/** The metrics of the two connection pools of this process. */
@Injectable()
export class PoolGauges implements OnModuleDestroy {
  private readonly stop: () => void;

  constructor(writes: DataSource, @Inject(READS) reads: DataSource) {
    measureStatements(writes, 'writes');
    measureStatements(reads, 'reads');
    this.stop = beforeScrape(() => {
      set('writes', writes);
      set('reads', reads);
    });
  }

  onModuleDestroy(): void {
    this.stop();
  }
}

function set(pool: 'writes' | 'reads', { driver, options }: DataSource): void {
  // TypeORM's driver for Postgres keeps the pool of `pg` there; the type of drivers doesn't say it.
  const { totalCount, idleCount, waitingCount } = (driver as unknown as { readonly master: Pool }).master;
  poolConnections.set({ pool, state: 'busy' }, totalCount - idleCount);
  poolConnections.set({ pool, state: 'idle' }, idleCount);
  poolWaiting.set({ pool }, waitingCount);
  poolLimit.set({ pool }, options.poolSize ?? 0);
}
