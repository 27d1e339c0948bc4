import type { DataSource } from 'typeorm';
import { queryRows } from '../../src/database/query-rows.js';

/** Rows that statements read, by Postgres' own count. */
export interface TableReads {
  readonly byIndex: number;
  readonly byScan: number;
}

/** What `work` reads from tables of the database. All statements of `work` must be over when it resolves. */
export async function tableReads(
  dataSource: DataSource,
  poolSize: number,
  work: () => Promise<void>,
): Promise<TableReads> {
  const before = await total(dataSource, poolSize);
  await work();
  const after = await total(dataSource, poolSize);
  return { byIndex: after.byIndex - before.byIndex, byScan: after.byScan - before.byScan };
}

async function total({ manager }: DataSource, poolSize: number): Promise<TableReads> {
  // Each connection reports its counts. Together they are all connections of the pool.
  const flush = 'SELECT pg_stat_force_next_flush(), pg_sleep(0.2)';
  await Promise.all(Array.from({ length: poolSize }, () => queryRows(manager, flush)));
  const [row] = await queryRows<{ by_index: string; by_scan: string }>(
    manager,
    `SELECT sum(idx_tup_fetch) AS by_index, sum(seq_tup_read) AS by_scan FROM pg_stat_user_tables`,
  );
  return { byIndex: Number(row?.by_index), byScan: Number(row?.by_scan) };
}
