import { readdirSync, readFileSync } from 'node:fs';

/** A process and its descendants. Empty without /proc. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const pid of allProcesses()) {
    const parent = parentOf(pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = parentOf(root) === undefined ? [] : [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** The program's name, which the kernel cuts to 15 characters. */
export function programOf(pid: number): string {
  return read(pid, 'comm').trim();
}

function allProcesses(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** `pid (name) state ppid …`. The name may contain any character, so parse after the last parenthesis. */
function parentOf(pid: number): number | undefined {
  const text = read(pid, 'stat');
  const parent = text.slice(text.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
