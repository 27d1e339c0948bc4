import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../common/startup.error.js';

/** How to reach the embedded Postgres, in node-postgres' words (TypeORM calls `user` `username`). */
export interface EmbeddedConnectionOptions {
  /** The directory of the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Said aloud so that PGSSLMODE in the environment changes nothing. */
  readonly ssl: false;
}

/** Part of the socket's name, and of nothing else: no port is opened. */
export const SOCKET_PORT = 5432;
export const DATABASE_NAME = 'berth';
export const DATABASE_USER = 'berth';

/** Longest path of a Unix socket in bytes: `sun_path` without its final zero. */
const SOCKET_PATH_LIMIT = process.platform === 'linux' ? 107 : 103;

/**
 * How to connect to the Postgres whose cluster lies in `clusterDir` (DATA_DIR/postgres), from any process of the
 * same user: Berth itself, its workers, the TypeORM CLI. Starts nothing, and says nothing about whether it runs.
 *
 * The socket lies in the cluster's own directory, which nobody but its owner can enter (Postgres checks that). A
 * path that is too long for a socket is reached through a descriptor of the directory, which stays open in
 * this process; the options are then of use in this process alone. Throws a {@link StartupError} where that can't be done.
 */
export function embeddedConnectionOptions(clusterDir: string): EmbeddedConnectionOptions {
  const host = fitsSocket(clusterDir) ? clusterDir : throughDescriptor(clusterDir);
  return { host, port: SOCKET_PORT, user: DATABASE_USER, database: DATABASE_NAME, ssl: false };
}

function fitsSocket(dir: string): boolean {
  return Buffer.byteLength(join(dir, `.s.PGSQL.${SOCKET_PORT}`)) <= SOCKET_PATH_LIMIT;
}

const descriptors = new Map<string, number>();

/** `/proc/self/fd/N` is the directory itself, whatever its path: nothing in a shared directory that could be forged. */
function throughDescriptor(dir: string): string {
  if (process.platform !== 'linux') {
    throw new StartupError(
      `The path of DATA_DIR is too long for a Unix socket below it (${dir}): set DATA_DIR to a shorter one, or set DATABASE_URL.`,
    );
  }
  const known = descriptors.get(dir);
  const fd = known !== undefined && isStill(known, dir) ? known : openDirectory(dir);
  descriptors.set(dir, fd);
  return `/proc/self/fd/${fd}`;
}

/** Whether the directory behind a descriptor is the one at that path today: it may have been made anew. */
function isStill(fd: number, dir: string): boolean {
  const [held, found] = [fstatSync(fd), statSync(dir, { throwIfNoEntry: false })];
  if (held.dev === found?.dev && held.ino === found.ino) return true;
  closeSync(fd);
  return false;
}

function openDirectory(dir: string): number {
  try {
    return openSync(dir, 'r');
  } catch (cause) {
    throw new StartupError(
      `There is no embedded PostgreSQL in ${dir} that could be connected to: start Berth first.`,
      { cause },
    );
  }
}
