import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../common/startup.error.js';
import { DATABASE_NAME, type EmbeddedConnectionOptions } from './connection-options.js';
import { saysFull } from '../common/free-space.js';
import type { PostgresProcess } from './postgres-process.js';

/** A start takes 0.1 s. After a crash Postgres first replays its log, up to half a gigabyte. */
const START_TIMEOUT_MS = 5 * 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const POLL_MS = 15;

/** Starting up, ended by an administrator, ended after a crash of another session, too many connections. */
const TEMPORARY = new Set(['57P03', '57P01', '57P02', '53300']);
/**
 * The socket will never be usable. Other failed connections are the server's fault, and its log has the
 * reason.
 */
const FINAL = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENOTSOCK']);
const DUPLICATE_DATABASE = '42P04';

/**
 * Waits until `server` accepts queries, and creates Berth's database if it does not exist. Broken connections
 * are retried: if the server crashed, its log has the reason.
 *
 * @throws StartupError if the server ends, with the reason from its log, or takes too long.
 */
export async function becomeReady(
  server: PostgresProcess,
  options: EmbeddedConnectionOptions,
  dir: string,
): Promise<void> {
  const ended = { reason: undefined as string | undefined };
  void server.ended.then((reason) => (ended.reason = reason));
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const problem = await attempt(options);
    if (problem === undefined) return;
    if (ended.reason !== undefined) {
      throw new StartupError(`PostgreSQL didn't start: ${withAdvice(ended.reason, dir)}.`, {
        cause: problem,
      });
    }
    if (!isTemporary(problem) || Date.now() >= deadline) {
      const reason = isTemporary(problem) ? (server.lastFailure() ?? problem.message) : problem.message;
      throw new StartupError(`The embedded PostgreSQL can't be used: ${withAdvice(reason, dir)}.`, {
        cause: problem,
      });
    }
    await sleep(POLL_MS);
  }
}

async function attempt(options: EmbeddedConnectionOptions): Promise<Error | undefined> {
  const client = new pg.Client({
    ...options,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // Otherwise a server that ends while the connection is idle would cause an uncaught exception.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await createDatabase(client);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE_NAME]);
  if (rowCount !== 0) return;
  try {
    await client.query(`CREATE DATABASE ${DATABASE_NAME}`);
  } catch (error) {
    if ((error as pg.DatabaseError).code !== DUPLICATE_DATABASE) throw error;
  }
}

function isTemporary(error: Error & { code?: string }): boolean {
  const { code = '' } = error;
  return 'severity' in error ? TEMPORARY.has(code) : !FINAL.has(code);
}

/** Adds what to do about a full disk. */
export function withAdvice(reason: string, dir: string): string {
  return saysFull(reason) ? `${reason}; free some space on the file system of ${dir}` : reason;
}
