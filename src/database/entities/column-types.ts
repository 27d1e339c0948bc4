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

/** The default of a column: what a statement of `ManifestStore` sets for its transaction. */
export const ofSetting = (name: `berth.${string}`) => () => `NULLIF(current_setting('${name}', true), '')`;

export const CLIENT_ADDRESS: ColumnOptions = {
  type: 'text',
  name: 'client_address',
  nullable: true,
  default: ofSetting('berth.client_address'),
};

export const NOW: ColumnOptions = { type: 'timestamptz', default: () => 'now()' };
