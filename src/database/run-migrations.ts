import { setTimeout as delay } from 'node:timers/promises';
import { type DataSource, QueryFailedError } from 'typeorm';
import { MIGRATION_LOCK_KEY } from './advisory-lock.js';
import { isDeadlock, isLockTimeout } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';

/** How long others are left to work between two attempts to get a lock, growing, and how long it is tried. */
export const MIGRATION_PATIENCE = { pauseMs: 1_000, longestPauseMs: 15_000, totalMs: 600_000 };

const TURN_PAUSE_MS = 200;

/** How often a start that takes long says why. */
const REPORT_MS = 30_000;
const LONG_WORK =
  'large tables take their time, an index waits for older transactions, one replica migrates for all';

/**
 * Brings the schema up to date. Replicas that start together take turns: the first one migrates, the others
 * find nothing left to do.
 *
 * A migration whose lock isn't given within the connection's `lock_timeout` (a backup or a long query has the
 * table) is tried again after a pause, in which other queries of the table go on. What was migrated before it
 * stays.
 *
 * @param warn gets a line for each attempt that didn't get its lock.
 * @throws Error with the statement that didn't get its lock for `patience.totalMs`.
 */
export async function runMigrations(
  dataSource: DataSource,
  warn: (line: string) => void = () => undefined,
  patience = MIGRATION_PATIENCE,
): Promise<void> {
  const startedAt = performance.now();
  const passed = () => `${Math.round((performance.now() - startedAt) / 1000)} s`;
  const reporting = setInterval(
    () => warn(`migrating the database since ${passed()}: ${LONG_WORK}`),
    REPORT_MS,
  );
  try {
    for (let pause = patience.pauseMs; ; pause = Math.min(2 * pause, patience.longestPauseMs)) {
      try {
        return await migrateInTurn(dataSource);
      } catch (error) {
        if (!isLockTimeout(error) && !isDeadlock(error)) throw error;
        const reason = `a migration can't lock what another session uses (a backup? a long query?): ${sqlOf(error)}`;
        if (performance.now() - startedAt + pause > patience.totalMs)
          throw new Error(`${reason}, tried for ${passed()}; let that session end, then start again`, {
            cause: error,
          });
        warn(`${reason}; next attempt in ${pause / 1000} s`);
      }
      await delay(pause);
    }
  } finally {
    clearInterval(reporting);
  }
}

async function migrateInTurn(dataSource: DataSource): Promise<void> {
  const lock = dataSource.createQueryRunner();
  try {
    // Not by waiting in Postgres: CREATE INDEX CONCURRENTLY, which the first one may run, waits for
    // statements that wait.
    const sql = 'SELECT pg_try_advisory_lock($1::bigint) AS taken';
    while (!(await queryRows<{ taken: boolean }>(lock.manager, sql, [MIGRATION_LOCK_KEY]))[0]?.taken)
      await delay(TURN_PAUSE_MS);
    try {
      await dataSource.runMigrations();
    } finally {
      // A session that is gone has taken its locks with it.
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
