import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { IDENTITY_BYTES, identityBytes, parseIdentity } from '../../identity-object.js';
import type { DirectorySync } from './durable-directories.js';
import { errorCode } from './filesystem.errors.js';

/** Paths of the storage root and of the identity's file in it. */
interface IdentityPlace {
  readonly root: string;
  readonly identity: string;
}

/**
 * Returns undefined if the file does not exist. Rejects with the system's error or a DamagedIdentityError.
 */
export async function readIdentityFile({ root, identity }: IdentityPlace): Promise<string | undefined> {
  const file = await open(identity, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (file === undefined) return undefined;
  try {
    // One byte more, to detect a file that is too long.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(IDENTITY_BYTES + 1), 0, IDENTITY_BYTES + 1, 0);
    return parseIdentity(buffer.subarray(0, bytesRead), root);
  } finally {
    await file.close();
  }
}

/** Replaces the file atomically and durably. The root must exist. */
export async function writeIdentityFile(
  place: IdentityPlace,
  id: string,
  sync: DirectorySync,
): Promise<void> {
  const bytes = identityBytes(id);
  const temporary = `${place.identity}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, place.identity);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await sync(place.root);
}
