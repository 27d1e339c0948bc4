import { readFileSync } from 'node:fs';

/** Clock ticks per second of `/proc/<pid>/stat`, the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of processes since their start. 0 for those that have ended, and without /proc. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

/**
 * `pid (name) state …`: fields 14 and 15 of proc(5), counted after the name, which may contain any character.
 */
function ticksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
