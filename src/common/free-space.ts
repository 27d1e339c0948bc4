import { statfs } from 'node:fs/promises';

const MIB = 1024 * 1024;
const MIN_RESERVE_BYTES = 64 * MIB;
const MAX_RESERVE_BYTES = 256 * MIB;

/** The free space of a file system for users other than root. */
export interface FreeSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Number of files that can be created; Infinity if the file system has no limit. */
  readonly freeFiles: number;
}

/** The free space of the file system of `path`. Rejects with the file system's error. */
export async function freeSpaceOf(path: string): Promise<FreeSpace> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(path);
  return {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: files === 0 ? Infinity : ffree,
  };
}

/**
 * The space to keep free for the embedded Postgres: `setting`, by default 5 % of the file system, between 64
 * MiB (four segments of Postgres' write-ahead log) and 256 MiB.
 */
export function reserveBytesOf(setting: number | undefined, { totalBytes }: FreeSpace): number {
  return setting ?? Math.min(MAX_RESERVE_BYTES, Math.max(MIN_RESERVE_BYTES, Math.ceil(totalBytes / 20)));
}

/** Whether a message of Node or Postgres says that a disk or a quota is full. */
export function saysFull(text: string): boolean {
  return /No space left on device|Disk quota exceeded|\b(ENOSPC|EDQUOT)\b/i.test(text);
}
