import { open } from 'node:fs/promises';

/** Errors of file systems that can't flush directories. PostgreSQL ignores them too (`fsync_fname`). */
const CANNOT_SYNC = new Set(['EINVAL', 'EBADF', 'ENOTSUP']);

/**
 * Makes the entries of a directory durable, after a create or rename in it: fsync(2). Does nothing on
 * Windows, whose file systems journal directories.
 */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!CANNOT_SYNC.has(code)) throw error;
  } finally {
    await directory.close();
  }
}
