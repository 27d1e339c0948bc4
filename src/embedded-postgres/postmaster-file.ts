import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { SOCKET_PORT } from './connection-options.js';
import { ownerSetting } from './settings.js';

/**
 * The files with which Postgres prevents a second server. Each begins with a process id, which may be reused.
 */
const PID_FILES = ['postmaster.pid', `.s.PGSQL.${SOCKET_PORT}.lock`];
const PS_TIMEOUT_MS = 5_000;

/** The process id of a running Postgres of the cluster in `dir`. One in another container is not visible. */
export async function findPostmaster(dir: string): Promise<number | undefined> {
  const pid = await readPid(join(dir, 'postmaster.pid'));
  if (pid === undefined) return undefined;
  return isPostgresOf(await commandLine(pid), dir) ? pid : undefined;
}

/**
 * Removes pid files whose process id now belongs to another program: Postgres would take that for a running
 * server and refuse to start. The caller must know that no Postgres of this cluster runs. Postgres itself
 * handles the files of a process that has ended.
 */
export async function removeReusedPidFiles(dir: string): Promise<void> {
  for (const name of PID_FILES) {
    const pid = await readPid(join(dir, name));
    if (pid !== undefined && isAlive(pid)) await rm(join(dir, name), { force: true });
  }
}

/**
 * Whether Berth or a person started a server on `dir` with this command. Arguments are separated by zeros.
 */
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
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // `ps` doesn't mark where arguments end, so a directory with spaces is not recognised.
  const ps = promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {
    timeout: PS_TIMEOUT_MS,
  });
  return ps.then(
    ({ stdout }) => stdout.trim().replaceAll(' ', '\0'),
    () => '',
  );
}
