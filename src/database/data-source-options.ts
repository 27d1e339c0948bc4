import type { DataSourceOptions } from 'typeorm';
import { ENTITIES } from './entities/index.js';
import { MIGRATIONS } from './migrations/index.js';

/** How to reach Postgres: a URL, or what the embedded one is reached by (a Unix socket has no URL form in TypeORM). */
export interface PostgresConnection {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
}

/** The one description of the database that the application and the TypeORM CLI (`ormconfig.ts`) share. */
export function dataSourceOptions(connection: PostgresConnection, poolSize: number) {
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
    // pg-pool waits for ever by default: an exhausted pool or an unreachable server has to end in an error.
    extra: { connectionTimeoutMillis: 10_000 },
  } satisfies DataSourceOptions;
}
