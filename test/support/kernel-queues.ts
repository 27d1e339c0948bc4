import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `sl local_address rem_address st tx_queue:rx_queue …`, in hexadecimal: see proc(5). */
const ROW = /^ *\d+: \w+:(\w{4}) \w+:(\w{4}) \w\w (\w{8}):(\w{8}) /gm;

/**
 * How many bytes clients of this machine have sent to the server at `url` that it has not read yet: those
 * that wait in its sockets, and those that are still to be transmitted. Linux and IPv4 only.
 */
export function unreadBytes(url: string): number {
  const port = Number(new URL(url).port);
  let bytes = 0;
  for (const [, local = '', remote = '', sending = '', received = ''] of readFileSync(
    '/proc/net/tcp',
    'utf8',
  ).matchAll(ROW)) {
    if (parseInt(local, 16) === port) bytes += parseInt(received, 16);
    if (parseInt(remote, 16) === port) bytes += parseInt(sending, 16);
  }
  return bytes;
}

/** Whether a process has the socket that listens at `url`. Linux and IPv4 only. */
export function listensAt(url: string, pid: number): boolean {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  const listening = new RegExp(`^ *\\d+: \\w+:${port} \\w+:0000 0A (?:\\S+ +){5}(\\d+) `, 'gm');
  const inodes = [...readFileSync('/proc/net/tcp', 'utf8').matchAll(listening)].map(([, inode]) => inode);
  const targets = descriptorsOf(pid).map((descriptor) => targetOf(pid, descriptor));
  return inodes.some((inode) => targets.includes(`socket:[${inode}]`));
}

/** None if the process has ended. */
function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}

/** How many sockets of a process have more than one descriptor. Linux only. */
export function duplicatedSockets(pid: number): number {
  const seen = new Set<string>();
  let duplicates = 0;
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    const target = targetOf(pid, descriptor);
    if (!target.startsWith('socket:')) continue;
    if (seen.has(target)) duplicates += 1;
    seen.add(target);
  }
  return duplicates;
}

/** A descriptor may be closed after it was listed. */
function targetOf(pid: number, descriptor: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
  } catch {
    return '';
  }
}
