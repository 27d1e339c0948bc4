import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { StartupError } from '../common/startup.error.js';

/**
 * Node opens the files of a program nearly all at once when it loads it: with 512, Berth's can't always be
 * loaded.
 */
const FEWEST_OPEN_FILES = 1024;

/** @throws StartupError when this process may not open enough files to be loaded. */
export function refuseLowFileLimit(): void {
  const limit = openFileLimit();
  if (limit >= FEWEST_OPEN_FILES) return;
  throw new StartupError(
    `A process may have ${limit} files open here (ulimit -n): ` +
      `raise the limit to ${FEWEST_OPEN_FILES} or more.`,
  );
}

/** Most files and sockets that this process may have open at once; Infinity where there is no limit. */
export function openFileLimit(): number {
  const limit = Number(readLimit());
  return Number.isSafeInteger(limit) && limit > 0 ? limit : Infinity;
}

/** The soft limit. Node raises it to the hard limit when it starts. */
function readLimit(): string | undefined {
  try {
    return /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  } catch {
    // Not Linux. A child has the limits of its parent.
    return execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  }
}
