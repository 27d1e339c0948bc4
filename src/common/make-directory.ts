import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and the parents that it lacks, and answers the first that is new, if any; what exists is left as it is.
 * Node's own `recursive` never ends where a parent exists in which nothing can be made (below `/proc`).
 */
export async function makeDirectory(path: string, mode?: number): Promise<string | undefined> {
  const attempt = await tryToMake(path, mode);
  if (attempt === 'made') return path;
  if (attempt === 'exists') return undefined;
  if (dirname(path) === path) throw attempt;
  const firstMade = await makeDirectory(dirname(path), mode);
  const again = await tryToMake(path, mode);
  if (again !== 'made' && again !== 'exists') throw again;
  return firstMade ?? (again === 'made' ? path : undefined);
}

/** An error answered rather than thrown: there may be a parent missing. */
async function tryToMake(path: string, mode: number | undefined): Promise<'made' | 'exists' | Error> {
  try {
    await mkdir(path, { mode });
    return 'made';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return 'exists';
    if (code === 'ENOENT') return error as Error;
    throw error;
  }
}
