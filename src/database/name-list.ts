import type { ListQueries } from './list-queries.js';

/** Entries after `last`, `size` at the most. */
export interface PageRequest {
  readonly size: number;
  readonly last: string | undefined;
}

export interface Page<T> {
  readonly items: T[];
  /** Whether there are further entries. */
  readonly more: boolean;
}

/** Reads a page of names with `sql`, whose last two parameters are the name to start after and the limit. */
export async function listNames(
  lists: ListQueries,
  sql: string,
  parameters: readonly unknown[],
  { size, last }: PageRequest,
): Promise<Page<string>> {
  const rows = await lists.run<{ name: string }>(sql, [...parameters, last ?? '', size + 1]);
  return { items: rows.slice(0, size).map(({ name }) => name), more: rows.length > size };
}
