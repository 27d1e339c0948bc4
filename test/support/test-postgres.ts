import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { tryFileLock } from '../../src/common/file-lock.js';
import {
  embeddedConnectionOptions,
  type EmbeddedConnectionOptions,
} from '../../src/embedded-postgres/connection-options.js';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.js';

/** An empty database of one test file's own. */
export interface TestDatabase {
  /** For node-postgres; TypeORM calls `user` `username`. */
  readonly connection: EmbeddedConnectionOptions;
  /** The same as a `DATABASE_URL`. */
  readonly url: string;
  /** Removes the database, ending whatever session is still open. */
  drop(): Promise<void>;
}

const START_TIMEOUT_MS = 120_000;

/**
 * Makes a database on the run's one Postgres, which is the embedded one with its durability switched off. The first
 * caller starts it (about a second); runs that need no database start none. It is stopped when the run ends, however it ends:
 * `postgres-setup.ts` sees to that.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await sharedServer();
  const database = `berth_test_${randomBytes(6).toString('hex')}`;
  await runOn(server, `CREATE DATABASE ${database}`);
  return {
    connection: { ...server, database },
    url: `postgres://${server.user}@${encodeURIComponent(server.host)}:${server.port}/${database}`,
    drop: () => runOn(server, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
  };
}

/** One worker of the run starts the server while the others wait for it. */
async function sharedServer(): Promise<EmbeddedConnectionOptions> {
  const directory = process.env['BERTH_TEST_POSTGRES_DIR'];
  if (!directory) throw new Error('test databases need the globalSetup of jest.config.mjs');
  const dataDir = join(directory, 'postgres');
  const options = embeddedConnectionOptions(dataDir);
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(options))) {
    if (Date.now() > deadline) throw new Error('the Postgres of the tests was not started in time');
    const lock = await tryFileLock(join(directory, 'starter.lock'));
    if (!lock) {
      await sleep(50);
      continue;
    }
    try {
      if (await answers(options)) break;
      await startEmbeddedPostgres({
        dataDir,
        log: () => undefined,
        durable: false,
        outlivesProcess: true,
      });
    } finally {
      lock.release();
    }
  }
  return options;
}

async function answers(options: EmbeddedConnectionOptions): Promise<boolean> {
  return runOn(options, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

async function runOn(options: EmbeddedConnectionOptions, sql: string): Promise<void> {
  const client = new pg.Client({ ...options, database: 'postgres' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}
