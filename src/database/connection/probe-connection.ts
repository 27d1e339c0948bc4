import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { clientClass, clientConfig } from './client-config.js';

/** How long connecting may take, and then each query. */
export const PROBE_QUERY_TIMEOUT_MS = 2_000;

/** Longer than the interval of common probes. Meanwhile a firewall may have forgotten the connection. */
const IDLE_TIMEOUT_MS = 60_000;

/**
 * One connection for health checks, so that busy pools never make a healthy process unready. It stays open
 * between checks. A connection that breaks, or does not respond in time, is closed, and the next query uses
 * a new one.
 */
@Injectable()
export class ProbeConnection implements OnModuleDestroy {
  private readonly pool: pg.Pool;

  constructor(dataSource: DataSource) {
    // Of `pg`, not of TypeORM: that one keeps a connection whose query has timed out.
    this.pool = new pg.Pool({
      ...clientConfig(dataSource, { name: 'berth-health', timeoutMs: PROBE_QUERY_TIMEOUT_MS }),
      Client: clientClass(dataSource),
      max: 1,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
    });
    // The pool has removed the connection.
    this.pool.on('error', () => undefined);
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Runs a statement and returns its rows. */
  async query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    return (await this.pool.query<Row>(sql)).rows;
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.end();
  }
}
