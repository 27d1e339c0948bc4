import type { DataSource } from 'typeorm';

/** A data source that sends its queries to another one. */
export interface InterposedQueries {
  readonly dataSource: DataSource;
  /** The texts of all that were asked for so far. */
  readonly sent: readonly string[];
}

/** The same data source, for what asks its manager alone, with `before` in the way of each query; the first has the number 0. */
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
