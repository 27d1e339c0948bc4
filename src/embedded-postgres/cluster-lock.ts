import { setTimeout as sleep } from 'node:timers/promises';
import { tryFileLock, type FileLock } from '../common/file-lock.js';
import { StartupError } from '../common/startup.error.js';
import { findPostmaster, removeReusedPidFiles } from './postmaster-file.js';

/** How Postgres is stopped: first with a checkpoint, then without. */
export const STOP_STEPS = [
  // Ends the sessions and writes a checkpoint.
  { signal: 'SIGINT', timeoutMs: 60_000 },
  // Ends at once; the next start replays the log. The postmaster gives its children five seconds.
  { signal: 'SIGQUIT', timeoutMs: 15_000 },
] as const;

const POLL_MS = 25;

/** State of a wait for a server that an earlier Berth left running. */
interface Wait {
  readonly dir: string;
  readonly log: (line: string) => void;
  lock: FileLock | undefined;
  isReported: boolean;
}

/**
 * Takes the lock of the cluster in `dir`. Each Postgres process and `initdb` inherits it. So while this
 * process holds it, none of them runs, on this host or in one of its containers, and the pid files are stale.
 *
 * A server that a killed Berth left running is stopped first; the wait is bounded. The caller must hold the
 * claim of DATA_DIR: then no other process needs that server.
 *
 * @throws StartupError
 */
export async function takeClusterLock(dir: string, log: (line: string) => void): Promise<FileLock> {
  const wait: Wait = { dir, log, lock: undefined, isReported: false };
  try {
    for (const { signal, timeoutMs } of STOP_STEPS) {
      if (!(await waitForEnd(wait, signal, timeoutMs)) || !wait.lock) continue;
      await removeReusedPidFiles(dir);
      return wait.lock;
    }
    throw stillRunning(dir, await findPostmaster(dir));
  } catch (error) {
    wait.lock?.release();
    throw error;
  }
}

function stillRunning(dir: string, pid: number | undefined): StartupError {
  return new StartupError(
    pid === undefined
      ? `A PostgreSQL that this process can't see, perhaps in another container, uses ${dir}: stop it first.`
      : `A PostgreSQL of an earlier Berth (pid ${pid}) uses ${dir} and doesn't stop: stop it first.`,
  );
}

/** Signals the server as soon as its pid file exists. Returns whether it has ended. */
async function waitForEnd(wait: Wait, signal: NodeJS.Signals, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  let signalled = false;
  for (;;) {
    wait.lock ??= await tryFileLock(`${wait.dir}.lock`);
    const pid = await findPostmaster(wait.dir);
    if (wait.lock && pid === undefined) return true;
    if (Date.now() >= deadline) return false;
    report(wait, pid);
    if (pid !== undefined && !signalled) signalled = send(pid, signal);
    await sleep(POLL_MS);
  }
}

function report(wait: Wait, pid: number | undefined): void {
  if (wait.isReported) return;
  wait.isReported = true;
  wait.log(
    `Stopping the PostgreSQL that an earlier Berth left running${pid === undefined ? '' : ` (pid ${pid})`}`,
  );
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw new StartupError(
      `This user can't stop the PostgreSQL that an earlier Berth left running (pid ${pid}): stop it first.`,
      { cause },
    );
  }
}
