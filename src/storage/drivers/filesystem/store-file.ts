import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StorageError } from '../../storage.errors.js';
import type { DurableDirectories } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { errorCode } from './filesystem.errors.js';

/** A process that deletes the last object of the same digest costs another round. */
const MAX_ROUNDS = 10;

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Content to store, the path of a file that only this call uses, and the path of the object. */
export interface Store {
  readonly source: string;
  readonly target: string;
  readonly bytes: Uint8Array;
}

/**
 * Writes `bytes` to the source, flushes it, and renames it to the target. The source needs no durable entry
 * in its directory, because the rename is flushed before the call settles. An existing target is replaced; it
 * has the same bytes.
 */
export async function storeFile(
  { source, target, bytes }: Store,
  { layout, directories }: { layout: FilesystemLayout; directories: DurableDirectories },
): Promise<void> {
  const folder = dirname(target);
  await layout.expectMounted();
  try {
    await writeNew(source, bytes);
    for (let round = 1; ; round += 1) {
      try {
        await directories.make(folder);
        await layout.refuseLinks(folder);
        await rename(source, target);
        break;
      } catch (error) {
        if (errorCode(error) !== 'ENOENT' || round === MAX_ROUNDS) throw error;
      }
    }
  } catch (error) {
    await rm(source, { force: true }).catch(() => undefined);
    throw error;
  }
  await directories.flush(folder);
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, NEW_FILE);
  try {
    for (let done = 0; done < bytes.byteLength;) {
      const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, done);
      if (bytesWritten === 0) throw new StorageError('storing an upload: the file accepts no more bytes');
      done += bytesWritten;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
}
