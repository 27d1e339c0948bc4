import type { DataSource } from 'typeorm';

/**
 * The connections of a process, in two pools that can't take each other's: what changes something and may
 * wait for a lock must leave pulls and readiness theirs (docs/adr/0019).
 */
export interface Connections {
  /**
   * Whatever changes something. `UnitOfWork` leaves some of them to the statements of uploads. Nest injects
   * it as `DataSource`.
   */
  readonly dataSource: DataSource;
  /** Reads: pulls, lists, readiness. */
  readonly reads: DataSource;
}

/** Stands for {@link Connections.reads}, a `DataSource`. */
export const READS = Symbol('READS');

/**
 * How many connections each pool may have, of `databasePoolSize` (6 at least) in all. Reads share their
 * queries, so they need fewer of them.
 */
export function poolSizes(databasePoolSize: number): Record<keyof Connections, number> {
  const reads = Math.max(2, Math.floor(0.3 * databasePoolSize));
  return { reads, dataSource: databasePoolSize - reads };
}
