import { StorageError, StorageFullError, StorageUnavailableError } from '../../storage.errors.js';

/**
 * System errors that mean "no object at this path": the path does not exist, a parent is a file, the name is
 * too long, or a symbolic link (links are never followed).
 */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** Too many open files in this process or on this machine. */
const OUT_OF_FILES = new Set(['EMFILE', 'ENFILE']);

/** Returns the code of a Node system error, for example `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function isMissing(error: unknown): boolean {
  return MISSING.has(errorCode(error) ?? '');
}

export function isFull(error: unknown): boolean {
  return FULL.has(errorCode(error) ?? '');
}

/** Turns a system error into a {@link StorageError} with that error as its cause. */
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
export async function translateErrors<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageErrorOf(error, action);
  }
}

/** The same for each entry of a list. */
export async function* translateListErrors<T>(
  action: string,
  list: AsyncIterable<T>,
): AsyncGenerator<T, void> {
  try {
    yield* list;
  } catch (error) {
    throw storageErrorOf(error, action);
  }
}
