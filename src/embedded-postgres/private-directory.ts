import { lstat } from 'node:fs/promises';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Whether `path` is a directory that only this user and root can write to, and not a link. Berth runs
 * programs from it, so a directory that another user made, for example in /tmp, must not be used.
 */
export async function isOurDirectory(path: string): Promise<boolean> {
  const entry = await lstat(path).catch(() => undefined);
  return entry?.isDirectory() === true && isOwnedByUs(entry.uid) && (entry.mode & WRITABLE_BY_OTHERS) === 0;
}

/** Whether other users can't replace our files in `path`: it is sticky or not writable for them. */
export async function isSafeParent(path: string): Promise<boolean> {
  const entry = await lstat(path).catch(() => undefined);
  if (!entry?.isDirectory() || !isOwnedByUs(entry.uid)) return false;
  return (entry.mode & WRITABLE_BY_OTHERS) === 0 || (entry.mode & STICKY) !== 0;
}

function isOwnedByUs(uid: number): boolean {
  return uid === 0 || uid === process.getuid?.();
}
