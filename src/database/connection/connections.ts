import type { DataSource } from 'typeorm';

/**
 * The two connection pools of a process. Writes may wait for locks, and must not take the connections of
 * pulls (docs/adr/0019).
 */
export interface Connections {
  /** Writes. `UnitOfWork` reserves some connections for uploads. Nest injects it as `DataSource`. */
  readonly dataSource: DataSource;
  /** Reads: pulls and lists. */
  readonly reads: DataSource;
}

/** Injects {@link Connections.reads}, a `DataSource`. */
export const READS = Symbol('READS');

/**
 * Splits `databasePoolSize` connections (6 or more) between the pools. Reads need fewer, because they share
 * queries.
 */
export function poolSizes(databasePoolSize: number): Record<keyof Connections, number> {
  const reads = Math.max(2, Math.floor(0.3 * databasePoolSize));
  return { reads, dataSource: databasePoolSize - reads };
}
