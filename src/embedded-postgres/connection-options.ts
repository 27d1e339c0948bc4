import { join } from 'node:path';
import { StartupError } from '../common/startup.error.js';

/** How to connect to the embedded Postgres, in node-postgres' terms (TypeORM calls `user` `username`). */
export interface EmbeddedConnectionOptions {
  /** The directory of the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Explicit, so that PGSSLMODE in the environment has no effect. */
  readonly ssl: false;
}

/** Only part of the socket's name: no TCP port is opened. */
export const SOCKET_PORT = 5432;
export const DATABASE_NAME = 'berth';
export const DATABASE_USER = 'berth';

/** Maximum length of the path of a Unix socket in bytes: `sun_path` without its final zero. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/**
 * How to connect to the Postgres of the cluster in `clusterDir` (DATA_DIR/postgres), from any process of the
 * same user: Berth, its workers, the TypeORM CLI. Doesn't start Postgres or check that it runs.
 *
 * The socket is in the cluster's directory, which only its owner can enter (Postgres checks that).
 *
 * @throws StartupError if the path is too long for a Unix socket.
 */
export function embeddedConnectionOptions(clusterDir: string): EmbeddedConnectionOptions {
  const socket = join(clusterDir, `.s.PGSQL.${SOCKET_PORT}`);
  const excess = Buffer.byteLength(socket) - MAX_SOCKET_PATH_BYTES;
  if (excess > 0) {
    throw new StartupError(
      `The path of DATA_DIR is ${excess} bytes too long for the Unix socket of PostgreSQL (${socket}): ` +
        'set DATA_DIR to a shorter path, or set DATABASE_URL.',
    );
  }
  return { host: clusterDir, port: SOCKET_PORT, user: DATABASE_USER, database: DATABASE_NAME, ssl: false };
}
