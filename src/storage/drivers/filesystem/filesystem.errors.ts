import { StorageError, StorageFullError, StorageUnavailableError } from '../../storage.errors.js';

/**
 * What the operating system says of a path that holds no object: nothing is there, a file stands where the key has a
 * folder, the name is longer than any that could be stored, a symbolic link (they are never followed).
 */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** Too many files are open, in this process or on this machine. */
const OUT_OF_FILES = new Set(['EMFILE', 'ENFILE']);

/** The code of a Node system error. Not by `instanceof`: Jest's realm has an `Error` of its own. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

export function isMissing(error: unknown): boolean {
  return MISSING.has(errorCode(error) ?? '');
}

export function isFull(error: unknown): boolean {
  return FULL.has(errorCode(error) ?? '');
}

/** The driver's edge: a system error becomes a {@link StorageError} that keeps it as its cause. */
export function storageErrorOf(cause: unknown, action: string): StorageError {
  if (cause instanceof StorageError) {
    return cause;
  }
  if (isFull(cause)) return new StorageFullError(`${action}: no space is left on the file system`, { cause });
  const code = errorCode(cause) ?? 'failed';
  return OUT_OF_FILES.has(code)
    ? new StorageUnavailableError(`${action}: too many open files (${code})`, { cause })
    : new StorageError(`${action}: ${code}`, { cause });
}

/** Runs `work` and turns its errors into {@link StorageError}s. */
export async function translating<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageErrorOf(error, action);
  }
}

/** The same for each entry of a list. */
export async function* translatingList<T>(action: string, list: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* list;
  } catch (error) {
    throw storageErrorOf(error, action);
  }
}
