import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../common/startup.error.js';
import { DATABASE_NAME, type EmbeddedConnectionOptions } from './connection-options.js';
import { errorCode, toError } from './error-code.js';
import { saysFull } from '../common/free-space.js';
import type { PostgresProcess } from './postgres-process.js';

/**
 * A start takes 0.1 s; after a crash Postgres first replays its log, of which there may be half a gigabyte.
 */
const START_TIMEOUT_MS = 5 * 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const POLL_MS = 15;

/**
 * "The database system is starting up", ended by an administrator or because another session crashed, and too
 * many connections. What else Postgres says to a client is final.
 */
const NOT_YET = new Set(['57P03', '57P01', '57P02', '53300']);
/**
 * The socket can't be used, now or later. Every other failure of a connection is the server's, which logs the
 * reason.
 */
const FINAL = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENOTSOCK']);
const DUPLICATE_DATABASE = '42P04';

/**
 * Settles when `server` answers queries and has Berth's database, which is created where it is missing.
 * Rejects with a {@link StartupError} when the server ends before that, with what it logged, or takes too
 * long.
 *
 * A connection that breaks is no reason: a server that crashes breaks them, and its log says why it crashed.
 */
export async function becomeReady(
  server: PostgresProcess,
  options: EmbeddedConnectionOptions,
  dir: string,
): Promise<void> {
  const ended = { how: undefined as string | undefined };
  void server.ended.then((how) => (ended.how = how));
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const problem = await attempt(options);
    if (problem === undefined) return;
    if (ended.how !== undefined) {
      throw new StartupError(`PostgreSQL didn't start: ${withAdvice(ended.how, dir)}.`, { cause: problem });
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
  // A server that goes away under an idle connection must not become an unhandled error.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await createDatabase(client);
    return undefined;
  } catch (error) {
    return toError(error);
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
    if (errorCode(error) !== DUPLICATE_DATABASE) throw error;
  }
}

function isTemporary(error: Error): boolean {
  const code = errorCode(error) ?? '';
  return 'severity' in error ? NOT_YET.has(code) : !FINAL.has(code);
}

/** What to do about a full disk, which Postgres doesn't say. */
export function withAdvice(reason: string, dir: string): string {
  return saysFull(reason) ? `${reason}; free some space on the file system of ${dir}` : reason;
}
