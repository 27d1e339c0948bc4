import { setTimeout as delay } from 'node:timers/promises';
import { type DataSource, QueryFailedError } from 'typeorm';
import { MIGRATION_LOCK_KEY } from './advisory-lock.js';
import { isDeadlock, isLockTimeout } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';
import { compareSchema } from './schema-comparison.js';

/** Pauses between attempts to lock a table, in which other sessions work, and the overall timeout. */
export const MIGRATION_RETRY = { pauseMs: 1_000, maxPauseMs: 15_000, timeoutMs: 600_000 };

const LOCK_POLL_MS = 200;

/** How often a long migration logs a warning. */
const REPORT_MS = 30_000;
const POSSIBLE_REASONS =
  'a large table, an index that waits for older transactions, or another replica that migrates';

/**
 * Runs all pending migrations. One replica migrates at a time; the others then find nothing to do.
 *
 * If a migration can't lock a table within the connection's `lock_timeout` (because of a backup or a long
 * query), it is retried after a pause, so that other queries of the table continue. Earlier migrations stay
 * applied.
 *
 * @param warn called with a line for each attempt that timed out, and every 30 s.
 * @throws Error that names the statement, if it can't get its lock within `retry.timeoutMs`.
 */
export async function runMigrations(
  dataSource: DataSource,
  warn: (line: string) => void = () => undefined,
  retry = MIGRATION_RETRY,
): Promise<void> {
  const startedAt = performance.now();
  const elapsed = () => `${Math.round((performance.now() - startedAt) / 1000)} s`;
  const reporting = setInterval(
    () => warn(`migrating the database for ${elapsed()}; possible reasons: ${POSSIBLE_REASONS}`),
    REPORT_MS,
  );
  try {
    for (let pause = retry.pauseMs; ; pause = Math.min(2 * pause, retry.maxPauseMs)) {
      try {
        return await migrateExclusively(dataSource);
      } catch (error) {
        if (!isLockTimeout(error) && !isDeadlock(error)) throw error;
        const reason = `a migration can't lock what another session uses: ${sqlOf(error)}`;
        if (performance.now() - startedAt + pause > retry.timeoutMs)
          throw new Error(
            `${reason}, gave up after ${elapsed()}; ` +
              'end that session (a backup, a long query?), then start again',
            { cause: error },
          );
        warn(`${reason}; next attempt in ${pause / 1000} s`);
      }
      await delay(pause);
    }
  } finally {
    clearInterval(reporting);
  }
}

/** Whether a migration of this code has not been run. */
export async function hasPendingMigrations(dataSource: DataSource): Promise<boolean> {
  return compareSchema(dataSource, await appliedMigrations(dataSource)).missing.length > 0;
}

/**
 * Refuses the schema of a newer version: this one may lack what the newer one's rows need.
 *
 * @param accepted the setting `DATABASE_ACCEPT_NEWER`: the newest migration that the operator accepts.
 * @throws Error that says what to do
 */
export async function refuseNewerSchema(dataSource: DataSource, accepted: string | undefined): Promise<void> {
  const { unknown } = compareSchema(dataSource, await appliedMigrations(dataSource));
  const newest = unknown.at(-1);
  if (newest === undefined || newest === accepted) return;
  throw new Error(
    `a newer version of Berth has changed its schema (migration ${newest}), and this one does not know it: ` +
      'start the newer version, or restore the backup from before the upgrade; if the changelog of the newer ' +
      `version says that this one works with its schema, start with DATABASE_ACCEPT_NEWER=${newest}`,
  );
}

/** In the order in which they have run. */
async function appliedMigrations({ manager }: DataSource): Promise<string[]> {
  const [table] = await queryRows<{ exists: boolean }>(
    manager,
    `SELECT to_regclass('migrations') IS NOT NULL AS exists`,
  );
  if (table?.exists !== true) return [];
  const rows = await queryRows<{ name: string }>(manager, 'SELECT name FROM migrations ORDER BY id');
  return rows.map(({ name }) => name);
}

async function migrateExclusively(dataSource: DataSource): Promise<void> {
  const lock = dataSource.createQueryRunner();
  try {
    // Polls instead of waiting in Postgres: CREATE INDEX CONCURRENTLY of another replica would wait for the
    // waiting statement.
    const sql = 'SELECT pg_try_advisory_lock($1::bigint) AS taken';
    while (!(await queryRows<{ taken: boolean }>(lock.manager, sql, [MIGRATION_LOCK_KEY]))[0]?.taken)
      await delay(LOCK_POLL_MS);
    try {
      await dataSource.runMigrations();
    } finally {
      // If the session is lost, Postgres has released the lock.
      await lock.query('SELECT pg_advisory_unlock($1::bigint)', [MIGRATION_LOCK_KEY]).catch(() => undefined);
    }
  } finally {
    await lock.release();
  }
}

function sqlOf(error: unknown): string {
  return error instanceof QueryFailedError
    ? error.query.trim().replace(/\s+/g, ' ').slice(0, 200)
    : 'unknown';
}
