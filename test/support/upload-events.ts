import { queryRows } from '../../src/database/query-rows.js';
import type { TestBerth } from './test-berth.js';

/** What an upload left behind, in order: the kinds of its events. */
export async function eventsOf(berth: TestBerth, location: string): Promise<string[]> {
  const id = location.split('/').at(-1);
  const sql = 'SELECT kind FROM upload_events WHERE upload_id = $1 ORDER BY id';
  const rows = await queryRows<{ kind: string }>(berth.database.dataSource.manager, sql, [id]);
  return rows.map(({ kind }) => kind);
}

/** Ends the lease of an upload, as time does when its writer is silent. */
export async function lapseLease(berth: TestBerth, location: string): Promise<void> {
  const sql = `UPDATE uploads SET lease_expires_at = now() - interval '1 s' WHERE id = $1`;
  await queryRows(berth.database.dataSource.manager, sql, [location.split('/').at(-1)]);
}
