import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryFileLock, type FileLock } from '../common/file-lock.js';
import { makeDirectory } from '../common/make-directory.js';
import { StartupError } from '../common/startup.error.js';

/** The right to be the one Berth on a data directory, until `release` or the end of the process, however it ends. */
export interface DataDirectoryClaim {
  /** Lets another Berth have the directory. Calling it twice does nothing. */
  release(): void;
}

const LOCK_FILE = 'berth.lock';

/**
 * Creates `dir` (DATA_DIR, absolute) for this user alone where it is missing, and claims it for this process.
 * A directory that exists keeps its mode and owner, and so do its parents.
 *
 * The claim is a kernel lock on `berth.lock`: one of any number of simultaneous starters gets it, and it is free
 * again the moment its holder is gone, kill -9 included. Processes forked later (node:cluster) don't hold it, so
 * it is the primary's to keep.
 *
 * Rejects with a {@link StartupError} when another Berth has the directory, or when it can't be written.
 */
export async function claimDataDirectory(dir: string): Promise<DataDirectoryClaim> {
  const path = join(dir, LOCK_FILE);
  const lock = await lockIn(dir, path);
  if (!lock) {
    const pid = await noted(path);
    throw new StartupError(
      `DATA_DIR (${dir}) is in use by another Berth${pid}: stop that one, or give this one a DATA_DIR of its own.`,
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
      `DATA_DIR (${dir}) can't be written (${String(cause).replace(/^Error: /, '')}): make it writable for the user that runs Berth, or set DATA_DIR to another directory.`,
      { cause },
    );
  }
}

/** The holder's process id as a person wants to read it, if it got around to writing it down. */
async function noted(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\d+\n$/.test(text) ? ` (pid ${text.trim()})` : '';
}
