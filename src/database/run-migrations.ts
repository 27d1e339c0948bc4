import type { DataSource } from 'typeorm';
import { MIGRATION_LOCK_KEY } from './advisory-lock.js';

/**
 * Brings the schema up to date. Replicas that start together take turns: the first one migrates, the others find
 * nothing left to do.
 */
export async function runMigrations(dataSource: DataSource): Promise<void> {
  const lock = dataSource.createQueryRunner();
  try {
    await lock.query('SELECT pg_advisory_lock($1::bigint)', [MIGRATION_LOCK_KEY]);
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
