import { SOCKET_PORT } from './connection-options.js';

/**
 * The settings that Postgres is started with. They are given on the command line, so they hold whatever an older
 * Berth, or a person, wrote into postgresql.conf. What isn't here can be set there.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  // Reachable through the socket in the data directory alone. The path is relative to the data directory: it is
  // never too long, and it needs no permission on the directories above.
  listen_addresses: '',
  unix_socket_directories: '.',
  unix_socket_permissions: '0700',
  port: String(SOCKET_PORT),
  // What Berth acknowledges to a client is on the disk.
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  // A registry's metadata is small, and its queries are short.
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  jit: 'off',
  // Parallel queries want /dev/shm, of which a container has 64 MB.
  max_parallel_workers_per_gather: '0',
  huge_pages: 'off',
  // To stderr, which Berth reads and gives its own timestamps. No statements: they may carry what is nobody's business.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '',
  log_checkpoints: 'off',
  log_min_error_statement: 'panic',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  // Shown in the process list.
  cluster_name: 'berth',
};

/** For databases that are thrown away: a power failure may take them. */
const NOT_DURABLE: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
};

/** The setting that names the cluster in the process list, for people and to recognise a server that was left behind. */
export function ownerSetting(clusterDir: string): string {
  return `berth.cluster_dir=${clusterDir}`;
}

/** Enough for one process with its defaults, a few tools of the operator's, and what Postgres reserves. */
export const LEAST_CONNECTIONS = 100;

export interface ServerSettings {
  /** False: see {@link NOT_DURABLE}. */
  readonly durable: boolean;
  /** Connections that the server allows, {@link LEAST_CONNECTIONS} at least. */
  readonly maxConnections?: number | undefined;
}

/** The arguments of `postgres` for these settings. */
export function settingArguments(
  clusterDir: string,
  { durable, maxConnections = LEAST_CONNECTIONS }: ServerSettings,
): string[] {
  const settings = {
    ...SETTINGS,
    ...(!durable && NOT_DURABLE),
    max_connections: String(Math.max(maxConnections, LEAST_CONNECTIONS)),
  };
  const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return [...assignments, ownerSetting(clusterDir)].flatMap((assignment) => ['-c', assignment]);
}
