import { SOCKET_PORT } from './connection-options.js';

/**
 * Settings on Postgres' command line. They take precedence over postgresql.conf, where other settings can be
 * changed.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  // Only a Unix socket in the data directory. The path is relative, so Postgres needs no permission on the
  // parent directories.
  listen_addresses: '',
  unix_socket_directories: '.',
  unix_socket_permissions: '0700',
  port: String(SOCKET_PORT),
  // What Berth acknowledges to a client is durable.
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  // A registry's metadata is small, and its queries are short.
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  jit: 'off',
  // Parallel queries need /dev/shm, and a container has only 64 MB of it.
  max_parallel_workers_per_gather: '0',
  huge_pages: 'off',
  // Berth reads stderr and adds timestamps. Statements are not logged: they may contain private data.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '',
  log_checkpoints: 'off',
  log_min_error_statement: 'panic',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  // Visible in the process list.
  cluster_name: 'berth',
};

/** For databases of tests, which need not survive a power failure. */
const NOT_DURABLE: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
};

/** Names the cluster in the process list, for people and to recognise a server that was left running. */
export function ownerSetting(clusterDir: string): string {
  return `berth.cluster_dir=${clusterDir}`;
}

/**
 * Enough for one process with its defaults, some tools of the operator, and the connections Postgres
 * reserves.
 */
export const MIN_CONNECTIONS = 100;

export interface ServerSettings {
  /** False: see {@link NOT_DURABLE}. */
  readonly durable: boolean;
  /** Connections to allow, at least {@link MIN_CONNECTIONS}. */
  readonly maxConnections?: number | undefined;
}

/** The arguments of `postgres`. */
export function settingArguments(
  clusterDir: string,
  { durable, maxConnections = MIN_CONNECTIONS }: ServerSettings,
): string[] {
  const settings = {
    ...SETTINGS,
    ...(!durable && NOT_DURABLE),
    max_connections: String(Math.max(maxConnections, MIN_CONNECTIONS)),
  };
  const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return [...assignments, ownerSetting(clusterDir)].flatMap((assignment) => ['-c', assignment]);
}
