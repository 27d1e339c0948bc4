import type { SpawnOptions } from 'node:child_process';
import type { PostgresPrograms } from './postgres-programs.js';
import type { RunAs } from './run-as.js';

/** One embedded cluster: where it is, who owns it and the programs that work on it. */
export interface ClusterContext {
  /** Absolute, links resolved. Beside it: `<dir>.lock`, and `<dir>.new` while a cluster is being made. */
  readonly dir: string;
  /** Set when Berth is root. */
  readonly runAs: RunAs | undefined;
  readonly programs: PostgresPrograms;
  /** False where losing the data to a power failure is fine: tests. */
  readonly durable: boolean;
  /** Connections that the server is to allow; unset: the least that it ever allows. */
  readonly maxConnections: number | undefined;
  readonly log: (line: string) => void;
}

/** Whether a program given `dir` as its working directory should name it as such, see {@link dataDirArgument}. */
function reachedByWorkingDirectory(runAs: RunAs | undefined): boolean {
  return runAs !== undefined && process.platform === 'linux';
}

/**
 * What to give Postgres' programs as `-D` when their working directory is `dir`.
 *
 * The user that root runs Postgres as mostly can't reach `dir` by its path: it lies below /root, or below a DATA_DIR
 * that is root's alone. But a child enters its working directory before it gives up being root, and Linux leads
 * `/proc/self/cwd` there without looking at the directories above. So nobody's home has to be opened, and other
 * processes of that user can't reach the cluster by its path either. Postgres changes into its data directory
 * and uses relative paths from then on.
 */
export function dataDirArgument(dir: string, runAs: RunAs | undefined): string {
  return reachedByWorkingDirectory(runAs) ? '/proc/self/cwd' : dir;
}

/** How to spawn one of Postgres' programs on `dir`. The environment is emptied: PGPORT and its like change nothing. */
export function spawnOptions(dir: string, runAs: RunAs | undefined): SpawnOptions {
  return {
    cwd: dir,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    ...(runAs && { uid: runAs.uid, gid: runAs.gid }),
  };
}
