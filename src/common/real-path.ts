import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** The path without symbolic links, also if its last parts do not exist yet. Rejects with other errors. */
export async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const full = resolve(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(full) === full) throw error;
    return join(await realPathOf(dirname(full)), basename(full));
  }
}
