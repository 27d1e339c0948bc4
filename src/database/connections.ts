import type { DataSource } from 'typeorm';

/**
 * The connections of a process, in three pools that can't take each other's: what waits for a lock, or reads much, must
 * leave the others theirs (docs/adr/0019).
 */
export interface Connections {
  /** Statements that wait for nothing but the row of an upload: checkpoints, leases. Nest injects it as `DataSource`. */
  readonly dataSource: DataSource;
  /** Reads: pulls, lists, readiness. */
  readonly reads: DataSource;
  /** Transactions, and statements that may wait for a lock. `UnitOfWork` alone has it. */
  readonly transactions: DataSource;
}

/** Stands for {@link Connections.reads}, a `DataSource`. */
export const READS = Symbol('READS');

/** Stands for {@link Connections.transactions}, a `DataSource`. */
export const TRANSACTIONS = Symbol('TRANSACTIONS');

/**
 * How many connections each pool may have, of `databasePoolSize` (6 at least) in all. Each has two or more, so that lists, or
 * work that waits for one lock, can leave one to others.
 */
export function poolSizes(databasePoolSize: number): Record<keyof Connections, number> {
  const transactions = Math.max(2, Math.floor(0.3 * databasePoolSize));
  const dataSource = Math.max(2, Math.floor(0.3 * databasePoolSize));
  return { dataSource, transactions, reads: databasePoolSize - transactions - dataSource };
}
