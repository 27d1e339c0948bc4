import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FileLock, tryFileLock } from '../../common/file-lock.js';
import { StartupError } from '../../common/startup.error.js';

const LOCK_FILE = 'workers.lock';
const POLL_MS = 25;

/** An orphaned worker needs much less to release its uploads and end. */
const ORPHAN_TIMEOUT_MS = 30_000;

/**
 * Takes the lock that each worker on a data directory inherits. Waits for workers whose primary was killed.
 * The caller must hold the directory's claim, and must not have opened the database yet.
 *
 * An orphaned worker may be writing: it checkpoints its uploads and then ends. It needs its Postgres for
 * that, so this is another lock than the cluster's. If the next start did not wait, it would release the
 * orphan's leases and so allow a second writer of the same bytes. A process id would not do: it may be
 * reused, or belong to another container. Nor would a database connection: a frozen process keeps its files
 * open when Postgres has ended.
 *
 * @param log called once if there is a worker to wait for.
 * @throws StartupError if a worker doesn't end: it is stopped (SIGSTOP), or its disk does not respond.
 */
export async function takeWorkerLock(
  dataDir: string,
  log: (line: string) => void,
  timeoutMs: number = ORPHAN_TIMEOUT_MS,
): Promise<FileLock> {
  const path = join(dataDir, LOCK_FILE);
  const deadline = performance.now() + timeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    const lock = await tryFileLock(path);
    if (lock) {
      lock.note('');
      return lock;
    }
    if (attempt === 1) log(`Waiting for workers that an earlier Berth left running${await pidsIn(path)}`);
    if (performance.now() >= deadline) {
      throw new StartupError(
        `A worker that an earlier Berth left running${await pidsIn(path)} doesn't end and uses DATA_DIR ` +
          `(${dataDir}): stop it first.`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Writes the process ids of the holders to the lock file, for messages. */
export function noteWorkers(lock: FileLock, pids: readonly number[]): void {
  lock.note(`${pids.join(', ')}\n`);
}

/** The process ids in the file, for a message. */
async function pidsIn(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim();
  return /^\d+(, \d+)*$/.test(text) ? ` (one of pid ${text})` : '';
}
