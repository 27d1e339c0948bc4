import { readFileSync } from 'node:fs';
import type { RegistryServer } from './registry-server.js';

/** Clock ticks per second of `/proc/<pid>/stat`, the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** CPU seconds, user and system, of a server's processes. */
export interface ServerCpu {
  readonly serving: number;
  readonly database: number;
}

/** CPU seconds since the start. 0 without /proc. */
export function cpuSecondsOf(server: RegistryServer): ServerCpu {
  const { serving, database } = server.processes();
  return { serving: cpuSeconds(serving), database: cpuSeconds(database) };
}

function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

/**
 * `pid (name) state …`: fields 14 to 17 of proc(5), counted after the name, which may contain any character.
 * The last two are those of ended children: connections of PostgreSQL are processes that come and go.
 */
function ticksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    return 0;
  }
}
