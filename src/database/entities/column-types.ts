import type { ColumnOptions } from 'typeorm';

/** `bigint` arrives as text. Sizes and offsets stay far below 2^53, so they are numbers in the code. */
export const BYTES: ColumnOptions = {
  type: 'bigint',
  transformer: {
    to: (value: number | null) => value,
    from: (value: string | null) => (value === null ? null : Number(value)),
  },
};

/** Names and digests sort and compare by bytes, as the spec's lists do, whatever the database's locale. */
export const BYTEWISE: ColumnOptions = { type: 'text', collation: 'C' };

export const NOW: ColumnOptions = { type: 'timestamptz', default: () => 'now()' };
