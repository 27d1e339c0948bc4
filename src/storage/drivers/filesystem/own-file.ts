import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { OwnObject } from '../../own-object.js';
import type { DirectorySync } from './durable-directories.js';
import { errorCode } from './filesystem.errors.js';

/**
 * Reads a file of Berth's own below `root`. Returns undefined if it does not exist. Rejects with the system's
 * error, or if the content is damaged.
 */
export async function readOwnFile<T>(root: string, own: OwnObject<T>): Promise<T | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(join(root, own.name), flags).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    // One byte more, to detect a file that is too long.
    const length = own.sizeBytes + 1;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return own.parse(buffer.subarray(0, bytesRead), root);
  } finally {
    await file.close();
  }
}

/** Replaces the file atomically and durably. The root must exist. */
export async function writeOwnFile<T>(
  root: string,
  own: OwnObject<T>,
  value: T,
  sync: DirectorySync,
): Promise<void> {
  const bytes = own.toBytes(value);
  const path = join(root, own.name);
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await sync(root);
}
