/**
 * A process's connections beside its pools: the listener and the one of health checks, and a second one of
 * each while it reconnects.
 */
const OWN_CONNECTIONS = 4;

/** For migrations, supervision, the operator's tools, and Postgres's `superuser_reserved_connections`. */
const SPARE_CONNECTIONS = 20;

/** How many times the workers may still finish requests that newer ones have replaced. */
export const OLD_GENERATIONS = 2;

/** `max_connections` of the embedded Postgres: enough that it never refuses a connection of Berth. */
export function connectionDemand({
  processes,
  databasePoolSize,
}: {
  readonly processes: number;
  readonly databasePoolSize: number;
}): number {
  // One process has no primary that could replace it.
  const generations = processes === 1 ? 1 : 1 + OLD_GENERATIONS;
  return generations * processes * (databasePoolSize + OWN_CONNECTIONS) + SPARE_CONNECTIONS;
}
