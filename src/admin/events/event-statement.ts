import { pageOrder, type Position, timeColumn } from '../paging/sort.js';

/** Which events of a list to return, newest first. */
export interface EventsRequest {
  /** Times of ISO 8601; undefined for no limit. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly after: Position | undefined;
  readonly limit: number;
}

/**
 * Makes the statement of a list of events: one range of an index of the columns of `filter`, `happened_at`
 * and `id`.
 *
 * @param from the table, as `e`.
 * @param filter conditions; its parameters are `$1` to `$count`.
 */
export function eventStatement(columns: string, from: string, filter: string, count: number) {
  const key = { column: 'e.id', before: '0', after: '9223372036854775807' };
  const { after, by, value, limit, parameters } = pageOrder(
    key,
    timeColumn('e.happened_at'),
    true,
    count + 3,
  );
  const sql = `
  SELECT ${columns}, e.id, ${value} AS "sortValue"
    FROM ${from} e
   WHERE ${filter}
     AND e.happened_at >= $${count + 1}::timestamptz AND e.happened_at < $${count + 2}::timestamptz
     AND ${after}
   ORDER BY ${by}
   LIMIT ${limit}`;
  return {
    sql,
    /** All but the last one, which is the limit. */
    parameters: (filters: readonly string[], { since, until, after }: EventsRequest): string[] => [
      ...filters,
      since ?? '-infinity',
      until ?? 'infinity',
      ...parameters(after),
    ],
  };
}
