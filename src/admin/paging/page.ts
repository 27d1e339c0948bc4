import type { KeysetCursor } from './keyset-cursor.js';

/** What a reader needs to know of the page that is wanted. */
export interface KeysetPage<Key> {
  /** The last key of the page before; nothing for the first page. */
  readonly after: Key | undefined;
  readonly limit: number;
}

/** A page as it is answered. */
export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

/** Makes a page of rows that were read with one more than `limit`, which only says whether there are more. */
export function toPage<Row, Key extends string>(
  rows: readonly Row[],
  limit: number,
  cursor: KeysetCursor<Key>,
  keyOf: (row: Row) => Key,
): Page<Row> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items, nextCursor: more ? cursor.encode(keyOf(last)) : null };
}
