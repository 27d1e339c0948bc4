/** A page of a list that is sorted by a unique key. */
export interface PageRequest<Key extends string = string> {
  /** The last key of the previous page; undefined for the first page. */
  readonly after: Key | undefined;
  /** Maximum number of items. */
  readonly limit: number;
}

export interface Page<Item> {
  readonly items: Item[];
  /** Whether there are further items. */
  readonly more: boolean;
}

/** The page of `rows`, which the query read with a limit of `limit + 1` to learn whether there are more. */
export function toPage<Row>(rows: readonly Row[], limit: number): Page<Row> {
  return { items: rows.slice(0, limit), more: rows.length > limit };
}
