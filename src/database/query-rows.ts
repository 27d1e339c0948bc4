import type { EntityManager } from 'typeorm';

/**
 * Runs one statement and answers its rows, those of `RETURNING` included. TypeORM's `query` answers rows for some
 * statements and `[rows, count]` for others; here it is always rows.
 *
 * The row's type is the caller's word for what the statement selects. `bigint` columns arrive as text.
 */
export async function queryRows<Row>(
  manager: EntityManager,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  const result: unknown = await manager.query(sql, parameters);
  const rows: unknown = isRowsAndCount(result) ? result[0] : result;
  return rows as Row[];
}

function isRowsAndCount(result: unknown): result is [unknown[], number] {
  return Array.isArray(result) && result.length === 2 && Array.isArray(result[0]);
}
