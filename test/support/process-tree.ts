import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** For hangs only. */
const TIMEOUT_MS = 240_000;

/** The workers of a Berth: its children that run the same program. Linux only. */
export function workersOf(primary: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === primary && commandOf(pid).includes('/main.js'));
}

/** Whether a process runs. A zombie does not. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z';
}

/** Returns the processes that have a file below `directory` open. */
export function holdersOf(directory: string, pids: readonly number[]): number[] {
  return pids.filter((pid) =>
    descriptorsOf(pid).some((target) => target === directory || target.startsWith(`${directory}/`)),
  );
}

/** Waits until `found` returns a value. */
export async function eventually<T>(
  what: string,
  found: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const value = await found();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited too long for ${what}`);
    await sleep(20);
  }
}

function parentOf(pid: number): number | undefined {
  return statOf(pid)?.parent;
}

/** `pid (name) state ppid …`. The name may contain anything: the rest follows the last parenthesis. */
function statOf(pid: number): { state: string; parent: number } | undefined {
  const text = read(`/proc/${pid}/stat`);
  const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state === undefined || parent === undefined ? undefined : { state, parent: Number(parent) };
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${name}`);
      } catch {
        return '';
      }
    });
  } catch {
    return [];
  }
}
