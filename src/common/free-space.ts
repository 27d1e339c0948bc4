import { statfs } from 'node:fs/promises';

const MIB = 1024 * 1024;
const LEAST_RESERVE_BYTES = 64 * MIB;
const MOST_RESERVE_BYTES = 256 * MIB;

/** What a file system has left for a user who isn't root. */
export interface FreeSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Files that can still be created. Infinity where the file system has no such limit. */
  readonly freeFiles: number;
}

/** The free space of the file system that holds `path`. Rejects with the file system's error. */
export async function freeSpaceOf(path: string): Promise<FreeSpace> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(path);
  return {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: files === 0 ? Infinity : ffree,
  };
}

/**
 * How much space is kept free for the embedded Postgres: `setting`, or 5 % of the file system, but 64 MiB at
 * least and 256 MiB at most. 64 MiB are four segments of Postgres' write-ahead log.
 */
export function reserveBytesOf(setting: number | undefined, { totalBytes }: FreeSpace): number {
  return setting ?? Math.min(MOST_RESERVE_BYTES, Math.max(LEAST_RESERVE_BYTES, Math.ceil(totalBytes / 20)));
}

/** Whether a text is about a disk, or a quota, that is used up: from Node, or from Postgres' log. */
export function saysFull(text: string): boolean {
  return /No space left on device|Disk quota exceeded|\b(ENOSPC|EDQUOT)\b/i.test(text);
}
