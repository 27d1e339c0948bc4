import type { ColumnOptions } from 'typeorm';

/** `pg` returns `bigint` as text. Sizes and offsets are below 2^53, so the code uses numbers. */
export const BYTES: ColumnOptions = {
  type: 'bigint',
  transformer: {
    to: (value: number | null) => value,
    from: (value: string | null) => (value === null ? null : Number(value)),
  },
};

/** Names and digests are compared and sorted by bytes, as the spec requires, not by the database's locale. */
export const BYTEWISE: ColumnOptions = { type: 'text', collation: 'C' };

/** The default of a column: the client's address, which `ManifestStore` sets for its statement. */
export const CLIENT_ADDRESS: ColumnOptions = {
  type: 'text',
  name: 'client_address',
  nullable: true,
  default: () => `NULLIF(current_setting('berth.client_address', true), '')`,
};

export const NOW: ColumnOptions = { type: 'timestamptz', default: () => 'now()' };
