import { readdirSync, readFileSync } from 'node:fs';

/** A process and all that descend from it. Nothing where there is no /proc. */
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

/** The name of the program, cut to 15 characters by the kernel. */
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

/** `pid (name) state ppid …`: the name may hold anything, so what follows begins after the last parenthesis. */
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
