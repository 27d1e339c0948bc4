import { lchown, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunAs } from './run-as.js';

/** Whether `dir` holds a cluster. `initdb` writes elsewhere and is renamed when it is done, so this is all or nothing. */
export async function hasCluster(dir: string): Promise<boolean> {
  return stat(join(dir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

/** Gives `dir` and all below it to `runAs`, following no link. For a cluster restored, or copied, by root. */
export async function giveTo(dir: string, runAs: RunAs): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), runAs.uid, runAs.gid);
  }
  // Last: until then the directory's owner says that this is still to be done.
  await lchown(dir, runAs.uid, runAs.gid);
}

/** Makes renames within `dir` survive a power failure. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
