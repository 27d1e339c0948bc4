import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { PostgresPackage } from './postgres-package.js';
import { isOurDirectory, isSafeParent } from './private-directory.js';

/**
 * Where root copies the binaries if Postgres' user can't reach them, best first. /var/cache is for files that
 * can be made again; no program cleans it up while Berth runs.
 */
export function copyPlaces({ version }: PostgresPackage): string[] {
  return ['/var/cache', '/var/tmp', tmpdir()].map((parent) => join(parent, `berth-postgres-${version}`));
}

/**
 * Makes `place` a copy of the package (60 MB) that every user can run and only root can write. An existing
 * copy is used again. Rejects if the copy can't be made, or if another user made the directory or could have.
 */
export async function copyPostgresPackage(source: PostgresPackage, place: string): Promise<void> {
  if (!(await isSafeParent(dirname(place)))) throw new Error(`${dirname(place)} is writable by other users`);
  if (await isOurDirectory(place)) return;
  await makeCopy(source, place);
  if (!(await isOurDirectory(place))) throw new Error(`${place} belongs to another user`);
}

/** A copy is complete or absent: it is made beside its place and then renamed. */
async function makeCopy(source: PostgresPackage, place: string): Promise<void> {
  const draft = await mkdtemp(join(dirname(place), `.${basename(place)}-`));
  try {
    await mkdir(join(draft, 'native'));
    await cp(join(source.root, 'native'), join(draft, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a'),
    });
    await makeReadable(draft);
    await rename(draft, place).catch(ignoreExisting);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Sets the modes of npm's archive, whatever umask it was unpacked with. */
async function makeReadable(root: string): Promise<void> {
  await chmod(root, 0o755);
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}

/** Another Berth that started at the same time has made the same copy. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}
