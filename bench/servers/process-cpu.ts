import { readFileSync } from 'node:fs';

/** Of `/proc/<pid>/stat`, on every Linux that there is. */
const TICKS_PER_SECOND = 100;

/** Seconds that processes have used of any core since they began. 0 of those that have ended, and where there is no /proc. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

/** `pid (name) state …`: fields 14 and 15 of proc(5), counted from after the name, which may hold anything. */
function ticksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
