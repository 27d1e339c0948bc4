import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errorCode } from './error-code.js';
import { repairPostgresPackage, type PostgresPackage } from './postgres-package.js';
import { isOurDirectory, isSafeParent } from './private-directory.js';
import type { RunAs } from './run-as.js';

/**
 * Where a copy of the binaries may be put, best first. For root: where the other user can reach it. /var/cache is the
 * place for what can be made again, and nothing cleans it up while we run. For anybody else: beside the cluster.
 */
export function copyPlaces(source: PostgresPackage, clusterDir: string, runAs: RunAs | undefined): string[] {
  const name = `berth-postgres-${source.version}`;
  if (!runAs) return [join(dirname(clusterDir), name)];
  return ['/var/cache', '/var/tmp', tmpdir()].map((parent) => join(parent, name));
}

/**
 * Makes `place` a copy of the package (60 MB) that every user can read and run and only we can write. Uses the one
 * that is there; answers whether it had to be made. A copy is complete or absent: it is made beside its place and renamed. Rejects when it can't be made, and
 * when somebody else has, or could have, put something there.
 */
export async function copyPostgresPackage(source: PostgresPackage, place: string): Promise<boolean> {
  if (!(await isSafeParent(dirname(place)))) throw new Error(`${dirname(place)} can be written by others`);
  if (await isOurDirectory(place)) return false;
  await makeCopy(source, place);
  if (!(await isOurDirectory(place))) throw new Error(`${place} belongs to somebody else`);
  return true;
}

async function makeCopy(source: PostgresPackage, place: string): Promise<void> {
  const draft = await mkdtemp(join(dirname(place), `.${basename(place)}-`));
  try {
    await mkdir(join(draft, 'native'));
    await cp(join(source.root, 'native'), join(draft, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a'),
    });
    await openToReaders(draft);
    await repairPostgresPackage(draft);
    // Another starter that was faster made the same copy: either will do.
    await rename(draft, place).catch((error: unknown) => unlessTaken(error));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** The modes that the package has in npm's archive, whatever umask it was unpacked with. */
async function openToReaders(root: string): Promise<void> {
  await chmod(root, 0o755);
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}

function unlessTaken(error: unknown): void {
  const code = errorCode(error);
  if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
}
