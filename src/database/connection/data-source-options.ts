import type { DataSourceOptions } from 'typeorm';
import { ENTITIES } from '../entities/index.js';
import { MIGRATIONS } from '../migrations/index.js';
import { PreparingClient } from './preparing-client.js';

/**
 * How to reach Postgres: a URL, or what the embedded one is reached by (a Unix socket has no URL form in
 * TypeORM).
 */
export interface PostgresConnection {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
}

/** How long things may take, in milliseconds, as `pg` takes them. Unset, each is for ever. */
export interface PostgresLimits {
  readonly connectionTimeoutMillis: number;
  readonly keepAlive: boolean;
  readonly query_timeout?: number;
  readonly statement_timeout?: number;
  readonly lock_timeout?: number;
  readonly idle_in_transaction_session_timeout?: number;
}

/**
 * While serving: an exhausted pool, a server that doesn't answer and a lock that isn't given have to end in
 * an error. Postgres ends the transaction of a process that is frozen before those who wait for its locks
 * give up.
 */
export const SERVING: PostgresLimits = {
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  query_timeout: 35_000,
  statement_timeout: 30_000,
  lock_timeout: 6_000,
  idle_in_transaction_session_timeout: 4_000,
};

/**
 * While migrating: a large table takes its time. A lock must not: while a migration waits for that of a
 * table, every later query of the table waits behind it, in all replicas. So it gives up soon, and
 * `runMigrations` tries again.
 */
export const MIGRATING: PostgresLimits = {
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  lock_timeout: 2_000,
};

/** The one description of the database that the application and the TypeORM CLI (`ormconfig.ts`) share. */
export function dataSourceOptions(
  connection: PostgresConnection,
  poolSize: number,
  limits: PostgresLimits = SERVING,
) {
  return {
    type: 'postgres',
    ...connection,
    entities: ENTITIES,
    migrations: MIGRATIONS,
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    synchronize: false,
    applicationName: 'berth',
    poolSize,
    extra: { ...limits, Client: PreparingClient },
  } satisfies DataSourceOptions;
}
