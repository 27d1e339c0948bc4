import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryFileLock, type FileLock } from '../common/file-lock.js';
import { makeDirectory } from '../common/make-directory.js';
import { StartupError } from '../common/startup.error.js';

/** Makes this process the only Berth on a data directory, until `release` or the end of the process. */
export interface DataDirectoryClaim {
  /** Idempotent. */
  release(): void;
}

const LOCK_FILE = 'berth.lock';

/**
 * Creates `dir` (DATA_DIR, absolute) with mode 0700 if it does not exist, and claims it for this process.
 *
 * The claim is a kernel lock on `berth.lock`. Of several processes that start at once, one gets it. The
 * kernel releases it when the process ends, also after kill -9. Workers don't inherit it.
 *
 * @throws StartupError if another Berth uses the directory, or it is not writable.
 */
export async function claimDataDirectory(dir: string): Promise<DataDirectoryClaim> {
  const path = join(dir, LOCK_FILE);
  const lock = await lockIn(dir, path);
  if (!lock) {
    const pid = await pidIn(path);
    throw new StartupError(
      `DATA_DIR (${dir}) is in use by another Berth${pid}: stop it, or set another DATA_DIR for this one.`,
    );
  }
  return lock;
}

async function lockIn(dir: string, path: string): Promise<FileLock | undefined> {
  try {
    await makeDirectory(dir, 0o700);
    const lock = await tryFileLock(path);
    lock?.note(`${process.pid}\n`);
    return lock;
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      `DATA_DIR (${dir}) is not writable (${String(cause).replace(/^Error: /, '')}): ` +
        'make it writable for the user that runs Berth, or set DATA_DIR to another directory.',
      { cause },
    );
  }
}

/** The process id of the other Berth, if it is in the file. */
async function pidIn(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\d+\n$/.test(text) ? ` (pid ${text.trim()})` : '';
}
