import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { StartupError } from '../common/startup.error.js';

/** Node opens many of a program's files at once when it loads them: 512 are not always enough for Berth. */
const MIN_OPEN_FILES = 1024;

/** @throws StartupError if this process may not open enough files. */
export function refuseLowFileLimit(): void {
  const limit = openFileLimit();
  if (limit >= MIN_OPEN_FILES) return;
  throw new StartupError(
    `The limit of open files (ulimit -n) is ${limit}: raise it to ${MIN_OPEN_FILES} or more.`,
  );
}

/** Maximum number of open files and sockets of this process; Infinity if there is no limit. */
export function openFileLimit(): number {
  const limit = Number(readLimit());
  return Number.isSafeInteger(limit) && limit > 0 ? limit : Infinity;
}

/** The soft limit, which Node raises to the hard limit at its start. */
function readLimit(): string | undefined {
  try {
    return /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  } catch {
    // Not Linux. A child inherits the limits of its parent.
    return execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  }
}
