import { setTimeout as sleep } from 'node:timers/promises';
import { tryFileLock, type FileLock } from '../common/file-lock.js';
import { StartupError } from '../common/startup.error.js';
import { errorCode } from './error-code.js';
import { findPostmaster, removeRecycledPidFiles } from './postmaster-file.js';

/** How a Postgres is made to stop: first as gently as it can be without waiting for clients, then at once. */
export const STOP_STEPS = [
  // Ends the sessions and writes a checkpoint.
  { signal: 'SIGINT', patienceMs: 60_000 },
  // Ends everything now; the next start replays the log. The postmaster gives its children five seconds.
  { signal: 'SIGQUIT', patienceMs: 15_000 },
] as const;

const POLL_MS = 25;

/** The states of waiting for a server that an earlier Berth left behind. */
interface Wait {
  readonly dir: string;
  readonly log: (line: string) => void;
  lock: FileLock | undefined;
  announced: boolean;
}

/**
 * Takes the lock of the cluster in `dir`, to be handed to the processes that will work on the cluster. Every
 * Postgres (and `initdb`) that Berth starts holds it, down to the last backend, so whoever gets it knows that
 * none of them is alive, on this host and in any of its containers, and that the pid files are stale.
 *
 * A server that a killed Berth left behind is stopped, and waited for, bounded. To be called by the holder of
 * DATA_DIR's claim alone, who knows that nobody needs that server. Rejects with a {@link StartupError}.
 */
export async function takeClusterLock(dir: string, log: (line: string) => void): Promise<FileLock> {
  const wait: Wait = { dir, log, lock: undefined, announced: false };
  try {
    for (const { signal, patienceMs } of STOP_STEPS) {
      if (!(await goneWithin(wait, signal, patienceMs)) || !wait.lock) continue;
      await removeRecycledPidFiles(dir);
      return wait.lock;
    }
    throw stillThere(dir, await findPostmaster(dir));
  } catch (error) {
    wait.lock?.release();
    throw error;
  }
}

function stillThere(dir: string, pid: number | undefined): StartupError {
  return new StartupError(
    pid === undefined
      ? `A PostgreSQL that this process can't see (another container's?) has ${dir} open: stop it first.`
      : `A PostgreSQL that an earlier Berth left behind (pid ${pid}) has ${dir} open and doesn't stop: stop it first.`,
  );
}

/** Signals the server as soon as it shows itself: one that is just starting has no pid file yet. */
async function goneWithin(wait: Wait, signal: NodeJS.Signals, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  let signalled = false;
  for (;;) {
    wait.lock ??= await tryFileLock(`${wait.dir}.lock`);
    const pid = await findPostmaster(wait.dir);
    if (wait.lock && pid === undefined) return true;
    if (Date.now() >= deadline) return false;
    announce(wait, pid);
    if (pid !== undefined && !signalled) signalled = send(pid, signal);
    await sleep(POLL_MS);
  }
}

function announce(wait: Wait, pid: number | undefined): void {
  if (wait.announced) return;
  wait.announced = true;
  wait.log(`Stopping the PostgreSQL that was left behind${pid === undefined ? '' : ` (pid ${pid})`}`);
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (cause) {
    if (errorCode(cause) === 'ESRCH') return false;
    throw new StartupError(
      `The PostgreSQL that an earlier Berth left behind (pid ${pid}) can't be stopped by this user: stop it first.`,
      { cause },
    );
  }
}
