import { lstat } from 'node:fs/promises';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Whether `path` is a real directory that nobody but this user and root can have filled. Programs are run from it, so
 * one that somebody else made first, in /tmp say, must not be used.
 */
export async function isOurDirectory(path: string): Promise<boolean> {
  const entry = await lstat(path).catch(() => undefined);
  if (!entry?.isDirectory()) return false;
  return ownedByUs(entry.uid) && (entry.mode & WRITABLE_BY_OTHERS) === 0;
}

/** Whether nobody but this user and root can replace what we own inside `path`: not writable by others, or sticky. */
export async function isSafeParent(path: string): Promise<boolean> {
  const entry = await lstat(path).catch(() => undefined);
  if (!entry?.isDirectory() || !ownedByUs(entry.uid)) return false;
  return (entry.mode & WRITABLE_BY_OTHERS) === 0 || (entry.mode & STICKY) !== 0;
}

function ownedByUs(uid: number): boolean {
  return uid === 0 || uid === process.getuid?.();
}
