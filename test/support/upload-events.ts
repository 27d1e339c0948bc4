import { queryRows } from '../../src/database/query-rows.js';
import type { TestBerth } from './test-berth.js';

/** The kinds of an upload's events, in order. */
export async function eventsOf(berth: TestBerth, location: string): Promise<string[]> {
  const id = location.split('/').at(-1);
  const sql = 'SELECT kind FROM upload_events WHERE upload_id = $1 ORDER BY id';
  const rows = await queryRows<{ kind: string }>(berth.database.dataSource.manager, sql, [id]);
  return rows.map(({ kind }) => kind);
}

/** Lets the lease of an upload lapse, as when its writer hangs. */
export async function lapseLease(berth: TestBerth, location: string): Promise<void> {
  const sql = `UPDATE uploads SET lease_expires_at = now() - interval '1 s' WHERE id = $1`;
  await queryRows(berth.database.dataSource.manager, sql, [location.split('/').at(-1)]);
}
