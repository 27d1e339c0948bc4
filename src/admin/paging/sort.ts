/** A field to sort by: ascending, or descending with `-`. */
export type Sort<Field extends string> = Field | `-${Field}`;

/** The sorts of a list, in the order in which they are documented. */
export function sortsBy<Field extends string>(fields: readonly Field[]): Sort<Field>[] {
  return fields.flatMap((field): Sort<Field>[] => [field, `-${field}`]);
}

/** Where a page begins: after the item with this value of the sort field, and this key. */
export interface Position<Key extends string = string> {
  /** A whole number: bytes, or microseconds since 1970. Undefined if the list is sorted by its key. */
  readonly value: string | undefined;
  readonly key: Key;
}

/** A column that a list can be sorted by. Several items may have the same value; the key decides then. */
interface SortColumn {
  readonly column: string;
  /** Always true. The indexes of some lists have this condition. */
  readonly stated: string;
  /** SQL that converts the column to a {@link Position.value}, and a parameter back. */
  readonly toValue: string;
  readonly fromValue: (parameter: string) => string;
}

export function bytesColumn(column: string): SortColumn {
  return {
    column,
    stated: `${column} >= 0`,
    toValue: `${column}::text`,
    fromValue: (parameter) => `${parameter}::bigint`,
  };
}

export function timeColumn(column: string): SortColumn {
  return {
    column,
    stated: `${column} >= '-infinity'`,
    toValue: `(extract(epoch FROM ${column}) * 1000000)::bigint::text`,
    // Exact, unlike to_timestamp, whose argument is a float of seconds.
    fromValue: (parameter) => `timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond'`,
  };
}

/** The unique key of a list, and texts that sort before and after all keys. */
interface SortKey {
  readonly column: string;
  readonly before: string;
  readonly after: string;
}

/** Values before and after all sizes and times (from 1970 to 9999). */
const BEFORE_ALL = '-1';
const AFTER_ALL = '253402300800000000';

/** The parts of a query for a page in one order. They use parameters from `$first` on. */
export interface PageOrder {
  /** The condition for the items after the page's position. */
  readonly after: string;
  /** The items of `ORDER BY`. */
  readonly by: string;
  /** An expression for the value of {@link Position}. */
  readonly value: string;
  /** The parameter for `LIMIT`. */
  readonly limit: string;
  /** The parameters of `after`, for a position or the first page. */
  readonly parameters: (position: Position | undefined) => string[];
}

/**
 * The order of a page. A position is compared as a row, so the page is one range of an index of the list's
 * filter, the column and the key.
 */
export function pageOrder(
  key: SortKey,
  column: SortColumn | undefined,
  isDescending: boolean,
  first: number,
): PageOrder {
  const [compare, direction] = isDescending ? ['<', 'DESC'] : ['>', 'ASC'];
  const firstKey = isDescending ? key.after : key.before;
  if (column === undefined) {
    return {
      after: `${key.column} ${compare} $${first}`,
      by: `${key.column} ${direction}`,
      value: 'NULL::text',
      limit: `$${first + 1}`,
      parameters: (position) => [position?.key ?? firstKey],
    };
  }
  const firstValue = isDescending ? AFTER_ALL : BEFORE_ALL;
  return {
    after:
      `${column.stated} AND ` +
      `(${column.column}, ${key.column}) ${compare} (${column.fromValue(`$${first}`)}, $${first + 1})`,
    by: `${column.column} ${direction}, ${key.column} ${direction}`,
    value: column.toValue,
    limit: `$${first + 2}`,
    parameters: (position) => [position?.value ?? firstValue, position?.key ?? firstKey],
  };
}

/** The statement of each sort of a list. */
export type SortedStatements<S extends string> = Readonly<
  Record<S, { readonly sql: string; readonly parameters: PageOrder['parameters'] }>
>;

/**
 * Makes the statement of each sort.
 *
 * @param columns the column of each field; undefined for the field that is the key.
 * @param first the number of the first parameter that the order may use.
 * @param statement makes the SQL; the items have `sortValue`.
 */
export function sortedStatements<Field extends string>(
  key: SortKey,
  columns: Readonly<Record<Field, SortColumn | undefined>>,
  first: number,
  statement: (order: PageOrder) => string,
): SortedStatements<Sort<Field>> {
  const entries = Object.entries<SortColumn | undefined>(columns).flatMap(([field, column]) =>
    [false, true].map((isDescending) => {
      const order = pageOrder(key, column, isDescending, first);
      const name = isDescending ? `-${field}` : field;
      return [name, { sql: statement(order), parameters: (at?: Position) => order.parameters(at) }];
    }),
  );
  return Object.fromEntries(entries) as SortedStatements<Sort<Field>>;
}
