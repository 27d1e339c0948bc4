import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import {
  embeddedConnectionOptions,
  type EmbeddedConnectionOptions,
} from '../../src/embedded-postgres/connection-options.js';
import { oncePerRun, runDirectory } from './once-per-run.js';

/** A database for one test file alone. */
export interface TestDatabase {
  /** For node-postgres; TypeORM calls `user` `username`. */
  readonly connection: EmbeddedConnectionOptions;
  /** The same as a `DATABASE_URL`. */
  readonly url: string;
  /** Removes the database and ends the sessions that are still open. */
  drop(): Promise<void>;
}

const TEMPLATE = 'berth_template';

/**
 * Creates an empty database on the run's one Postgres: the embedded one, without durability. The first caller
 * starts it (about a second). `postgres-setup.ts` stops it when the run ends.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createFrom(await sharedServer(), 'template1');
}

/** Creates a database with Berth's schema. Migrations run once per test run, on a template that is copied. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  const server = await sharedServer();
  await oncePerRun('template', async () => {
    await runOn(server, `CREATE DATABASE ${TEMPLATE}`);
    // Only the worker that migrates loads TypeORM.
    const { migrateDatabase } = await import('./migrate-database.js');
    await migrateDatabase(urlOf(server, TEMPLATE));
    // A template with an open connection cannot be copied: this keeps autovacuum out.
    await runOn(server, `ALTER DATABASE ${TEMPLATE} ALLOW_CONNECTIONS false`);
  });
  const created = await createFrom(server, TEMPLATE);
  // A migration gives each database an identity: the copies must not share one.
  await runOn(created.connection, 'UPDATE storage_identity SET id = gen_random_uuid()');
  return created;
}

/** Creates a copy of a database to which nothing is connected. It has the identity of the original. */
export function createClone({ connection }: TestDatabase): Promise<TestDatabase> {
  return createFrom({ ...connection, database: 'postgres' }, connection.database);
}

async function createFrom(server: EmbeddedConnectionOptions, template: string): Promise<TestDatabase> {
  const database = `berth_test_${randomBytes(6).toString('hex')}`;
  // Without durability, copies of files take less than half the time of the default, pages in the WAL.
  await runOn(server, `CREATE DATABASE ${database} TEMPLATE ${template} STRATEGY FILE_COPY`);
  return {
    connection: { ...server, database },
    url: urlOf(server, database),
    drop: () => runOn(server, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
  };
}

async function sharedServer(): Promise<EmbeddedConnectionOptions> {
  const dataDir = join(runDirectory(), 'databases', 'postgres');
  await oncePerRun('postgres-start', async () => {
    const { startEmbeddedPostgres } = await import('../../src/embedded-postgres/embedded-postgres.js');
    await startEmbeddedPostgres({ dataDir, log: () => undefined, durable: false, outlivesProcess: true });
  });
  return { ...embeddedConnectionOptions(dataDir), database: 'postgres' };
}

function urlOf(server: EmbeddedConnectionOptions, database: string): string {
  return `postgres://${server.user}@${encodeURIComponent(server.host)}:${server.port}/${database}`;
}

async function runOn(connection: EmbeddedConnectionOptions, sql: string): Promise<void> {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}
