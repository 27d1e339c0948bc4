import type { Client } from 'pg';
import type { DataSourceOptions } from 'typeorm';
import { ENTITIES } from '../entities/index.js';
import { MIGRATIONS } from '../migrations/index.js';
import { DatabaseServers } from './database-servers.js';
import { clientOf } from './server-client.js';

/** How to reach Postgres: by URL, or by fields, since TypeORM has no URL for a Unix socket. */
export interface PostgresConnection {
  /** May name several hosts: see {@link DatabaseServers}. */
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
}

/** Timeouts in milliseconds, in the names of `pg`. No timeout where one is not set. */
export interface PostgresLimits {
  readonly connectionTimeoutMillis: number;
  readonly keepAlive: boolean;
  readonly query_timeout?: number;
  readonly statement_timeout?: number;
  readonly lock_timeout?: number;
  readonly idle_in_transaction_session_timeout?: number;
  /** How long an unused connection stays open. Default: 10 s. */
  readonly idleTimeoutMillis?: number;
}

/**
 * While serving, waits end in an error: for a connection of the pool, for a response, for a lock. Postgres
 * ends an idle transaction, of a frozen process for instance, before others reach their `lock_timeout`.
 */
export const SERVING: PostgresLimits = {
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  query_timeout: 35_000,
  statement_timeout: 30_000,
  lock_timeout: 6_000,
  idle_in_transaction_session_timeout: 4_000,
  // Pushes and pulls come in bursts. A new connection is a new process of Postgres, which prepares each
  // statement again: that costs as much CPU time as five small pushes.
  idleTimeoutMillis: 60_000,
};

/**
 * While migrating, statements may take any time, since tables may be large. The `lock_timeout` is short:
 * while a migration waits to lock a table, all later queries of that table wait, too. `runMigrations`
 * retries.
 */
export const MIGRATING: PostgresLimits = {
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  lock_timeout: 2_000,
};

/** Shared by the application and the TypeORM CLI (`ormconfig.ts`). */
export function dataSourceOptions(
  connection: PostgresConnection,
  poolSize: number,
  limits: PostgresLimits = SERVING,
) {
  const servers = connection.url === undefined ? undefined : DatabaseServers.of(connection.url);
  return {
    type: 'postgres',
    ...connection,
    ...(servers && { url: servers.anyUrl }),
    entities: ENTITIES,
    migrations: MIGRATIONS,
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    synchronize: false,
    applicationName: 'berth',
    poolSize,
    extra: { ...limits, onConnect: ignoreLateErrors, ...(servers && { Client: clientOf(servers) }) },
  } satisfies DataSourceOptions;
}

/**
 * Between the pool's `error` listener and TypeORM's, a connection has none. Without this one, an error at
 * that moment would end the process. Queries on the connection reject all the same.
 */
function ignoreLateErrors(client: Client): void {
  client.on('error', () => undefined);
}
