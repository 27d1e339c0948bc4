import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { SOCKET_PORT } from './connection-options.js';
import { errorCode } from './error-code.js';
import { ownerSetting } from './settings.js';

/** The files by which Postgres keeps a second server away. Each begins with a process id, which may be recycled. */
const PID_FILES = ['postmaster.pid', `.s.PGSQL.${SOCKET_PORT}.lock`];
const PS_TIMEOUT_MS = 5_000;

/** The id of a live Postgres of the cluster in `dir`, as far as can be told: another container's can't be seen. */
export async function findPostmaster(dir: string): Promise<number | undefined> {
  const pid = await readPid(join(dir, 'postmaster.pid'));
  if (pid === undefined) return undefined;
  return isPostgresOf(await commandLine(pid), dir) ? pid : undefined;
}

/**
 * Removes the pid files whose process id is, by now, that of something else: Postgres would take it for a live server and
 * refuse to start. Only for who knows that no Postgres of this cluster is alive. Files of a dead process stay:
 * Postgres knows how to deal with them, and looks at more than the id.
 */
export async function removeRecycledPidFiles(dir: string): Promise<void> {
  for (const name of PID_FILES) {
    const pid = await readPid(join(dir, name));
    if (pid !== undefined && isAlive(pid)) await rm(join(dir, name), { force: true });
  }
}

/** Whether this is how Berth, or a person, starts a server on `dir`. Arguments as the kernel keeps them, zero separated. */
export function isPostgresOf(command: string, dir: string): boolean {
  const [program = '', ...rest] = command.split('\0');
  return basename(program) === 'postgres' && (rest.includes(ownerSetting(dir)) || rest.includes(dir));
}

async function readPid(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const pid = Math.abs(parseInt(text, 10));
  return pid > 1 ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // `ps` can't tell a space in an argument from one between arguments; a directory with spaces is then not recognised.
  const ps = promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {
    timeout: PS_TIMEOUT_MS,
  });
  return ps.then(
    ({ stdout }) => stdout.trim().replaceAll(' ', '\0'),
    () => '',
  );
}
