import type { DataSource } from 'typeorm';

/** A data source that sends its queries to another one. */
export interface InterposedQueries {
  readonly dataSource: DataSource;
  /** The text of every query so far. */
  readonly sent: readonly string[];
}

/** Returns the data source with a call of `before` before each query of its manager. Queries count from 0. */
export function interposedQueries(
  dataSource: DataSource,
  before: (number: number, sql: string) => Promise<void> = () => Promise.resolve(),
): InterposedQueries {
  const sent: string[] = [];
  // A statement with parameters is named, see `queryRows`.
  const query = async (statement: string | { text: string }, parameters: unknown[]): Promise<unknown> => {
    const sql = typeof statement === 'string' ? statement : statement.text;
    await before(sent.push(sql) - 1, sql);
    return dataSource.query(sql, parameters);
  };
  return { dataSource: { manager: { query } } as unknown as DataSource, sent };
}
