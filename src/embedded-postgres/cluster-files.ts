import { lchown, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunAs } from './run-as.js';

/**
 * Whether `dir` holds a cluster. A cluster is created elsewhere and then renamed, so it is always complete.
 */
export async function hasCluster(dir: string): Promise<boolean> {
  return stat(join(dir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

/** The major version of the PostgreSQL that created the cluster in `dir`. */
export async function clusterVersion(dir: string): Promise<string> {
  return (await readFile(join(dir, 'PG_VERSION'), 'utf8')).trim();
}

/**
 * Makes `runAs` the owner of `dir` and its content, without following links. For a cluster that root
 * restored.
 */
export async function changeOwner(dir: string, runAs: RunAs): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), runAs.uid, runAs.gid);
  }
  // Last: as long as root owns the directory, the next start repeats this.
  await lchown(dir, runAs.uid, runAs.gid);
}
