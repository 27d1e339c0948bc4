/** Connections that a process keeps beside its pool: one to listen on, and one that is being made in its place. */
const BESIDE_THE_POOL = 2;

/** For what migrates and supervises, the operator's tools, and what Postgres reserves for its superuser. */
const SPARE = 20;

/** How many connections the embedded Postgres has to allow, so that no process of this configuration is ever refused one. */
export function connectionDemand({
  processes,
  databasePoolSize,
}: {
  readonly processes: number;
  readonly databasePoolSize: number;
}): number {
  return processes * (databasePoolSize + BESIDE_THE_POOL) + SPARE;
}
