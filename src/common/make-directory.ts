import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a directory and its missing parents. Returns the first that it created, if any. Node's own
 * `recursive` never ends below `/proc`, where nothing can be created.
 */
export async function makeDirectory(path: string, mode?: number): Promise<string | undefined> {
  const attempt = await tryMkdir(path, mode);
  if (attempt === 'created') return path;
  if (attempt === 'exists') return undefined;
  if (dirname(path) === path) throw attempt;
  const firstCreated = await makeDirectory(dirname(path), mode);
  const again = await tryMkdir(path, mode);
  if (again !== 'created' && again !== 'exists') throw again;
  return firstCreated ?? (again === 'created' ? path : undefined);
}

/** Returns ENOENT as a value, because a parent may be missing. */
async function tryMkdir(path: string, mode: number | undefined): Promise<'created' | 'exists' | Error> {
  try {
    await mkdir(path, { mode });
    return 'created';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return 'exists';
    if (code === 'ENOENT') return error as Error;
    throw error;
  }
}
