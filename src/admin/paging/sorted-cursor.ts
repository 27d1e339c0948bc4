import { KeysetCursor } from './keyset-cursor.js';
import type { Page } from '../../database/page.js';
import type { Position } from './sort.js';

/** An item of a sorted list, with the value that it is sorted by (see {@link Position}). */
export interface Sorted {
  readonly sortValue: string | null;
}

/**
 * The cursors of a list that can be sorted: base64url of the list's name, the sort, and the position of the
 * last item of the previous page. A cursor is valid for the same list and the same sort only.
 */
export class SortedCursor<Key extends string> {
  /**
   * @param keyField the field that is the list's key. The other fields have numbers as values.
   * @param parseKey throws if the text is not a key of the list.
   */
  constructor(
    private readonly list: string,
    private readonly keyField: string,
    private readonly parseKey: (text: string) => Key,
  ) {}

  /** The position of a cursor; undefined for the first page. @throws BadRequestException */
  decode(sort: string, cursor: string | undefined): Position<Key> | undefined {
    const text = this.cursorOf(sort).decode(cursor);
    return text === undefined ? undefined : this.parse(sort, text);
  }

  /** The page as the API returns it, without `sortValue`. `nextCursor` is null on the last page. */
  pageDto<Item extends Sorted>({ items, more }: Page<Item>, sort: string, keyOf: (item: Item) => Key) {
    const { nextCursor } = this.cursorOf(sort).pageDto({ items, more }, (item) =>
      this.format({ value: item.sortValue ?? undefined, key: keyOf(item) }),
    );
    return { items: items.map(({ sortValue: _, ...item }) => item), nextCursor };
  }

  private cursorOf(sort: string): KeysetCursor<string> {
    return new KeysetCursor(`${this.list}:${sort}`, (text) => this.format(this.parse(sort, text)));
  }

  private format({ value, key }: Position<Key>): string {
    return value === undefined ? key : `${value}:${key}`;
  }

  /** @throws Error if the text is not a position in this sort. */
  private parse(sort: string, text: string): Position<Key> {
    if (sort.replace('-', '') === this.keyField) return { value: undefined, key: this.parseKey(text) };
    // Within the range of Postgres's bigint and timestamptz.
    const [, value, key] = /^([0-9]{1,17}):(.*)$/.exec(text) ?? [];
    if (value === undefined || key === undefined) throw new Error('expected a value and a key');
    return { value, key: this.parseKey(key) };
  }
}
