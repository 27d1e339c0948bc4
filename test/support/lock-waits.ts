import type { EntityManager } from 'typeorm';
import { queryRows } from '../../src/database/query-rows.js';
import { until } from './until.js';

/** Waits until at least `count` sessions of the database wait for a lock. */
export function untilSessionsWait(manager: EntityManager, count = 1): Promise<void> {
  return until(`${count} sessions to wait for a lock`, async () => {
    const sql = `SELECT FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return (await queryRows(manager, sql)).length >= count;
  });
}
