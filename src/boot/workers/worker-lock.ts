import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, tryFileLock } from '../../common/file-lock.js';
import { StartupError } from '../../common/startup.error.js';

const LOCK_FILE = 'workers.lock';
const POLL_MS = 25;

/** An orphaned worker lets go of its uploads, cuts its connections and leaves the database: well below this. */
const ORPHAN_PATIENCE_MS = 30_000;

/**
 * Takes the lock that every worker on a data directory holds, waiting for those that an earlier primary left behind
 * when it was killed. To be called by the holder of the directory's claim, before it opens the database.
 *
 * An orphan may be in the middle of a write: it makes durable what it has, then ends. Whoever frees all leases while it does, as the
 * next start does, would let a second writer into the same bytes; and with the socket's path being the same as before,
 * the orphan would find the next start's database as its own. Its process id would tell nothing (it may be another container's,
 * or recycled), and so would its database connection (a frozen process keeps its files open when Postgres is gone). The
 * kernel frees the lock when the process is gone, and not before.
 *
 * @param log is told, once, when there is somebody to wait for.
 * @throws StartupError when an orphan doesn't end: one that is stopped (SIGSTOP), or whose disk doesn't answer.
 */
export async function takeWorkerLock(
  dataDir: string,
  log: (line: string) => void,
  patienceMs: number = ORPHAN_PATIENCE_MS,
): Promise<FileLock> {
  const path = join(dataDir, LOCK_FILE);
  const deadline = performance.now() + patienceMs;
  for (let attempt = 1; ; attempt += 1) {
    const lock = await tryFileLock(path);
    if (lock) {
      lock.note('');
      return lock;
    }
    if (attempt === 1)
      log(`Waiting for the workers that an earlier Berth left behind${await notedPids(path)}`);
    if (performance.now() >= deadline) {
      throw new StartupError(
        `A worker that an earlier Berth left behind${await notedPids(path)} doesn't end and has DATA_DIR (${dataDir}) in use: stop it first.`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Writes down who has been given the lock, for {@link takeWorkerLock}'s sentence. */
export function noteWorkers(lock: FileLock, pids: readonly number[]): void {
  lock.note(`${pids.join(', ')}\n`);
}

/** The process ids as a person wants to read them. */
async function notedPids(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim();
  return /^\d+(, \d+)*$/.test(text) ? ` (among pid ${text})` : '';
}
