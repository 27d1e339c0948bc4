import type { SpawnOptions } from 'node:child_process';
import type { PostgresPrograms } from './postgres-programs.js';
import type { RunAs } from './run-as.js';

/** One embedded cluster: its directory, its owner and its programs. */
export interface ClusterContext {
  /** Absolute, links resolved. Beside it: `<dir>.lock`, and `<dir>.new` while the cluster is created. */
  readonly dir: string;
  /** Set if Berth is root. */
  readonly runAs: RunAs | undefined;
  readonly programs: PostgresPrograms;
  /** False: a power failure may lose data. For tests. */
  readonly durable: boolean;
  /** Number of connections to allow. Unset: the minimum. */
  readonly maxConnections: number | undefined;
  readonly log: (line: string) => void;
}

/**
 * The `-D` argument of Postgres' programs, whose working directory is `dir`.
 *
 * If Berth is root, Postgres' user usually can't reach `dir` by its path: it is below /root or a DATA_DIR
 * that only root can enter. But a child enters its working directory while it is still root, and on Linux
 * `/proc/self/cwd` leads there without a check of the parent directories. So no directory has to be opened to
 * other users. Postgres changes into its data directory and then uses relative paths.
 */
export function dataDirArgument(dir: string, runAs: RunAs | undefined): string {
  return runAs !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : dir;
}

/**
 * How to spawn Postgres' programs on `dir`. The environment is empty, so that PGPORT and others have no
 * effect.
 */
export function spawnOptions(dir: string, runAs: RunAs | undefined): SpawnOptions {
  return {
    cwd: dir,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    ...(runAs && { uid: runAs.uid, gid: runAs.gid }),
  };
}
