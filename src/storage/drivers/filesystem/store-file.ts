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

/** Content to store, the path of a new file that only this call uses, and the path of the object. */
export interface Store {
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly target: string;
}

/**
 * Writes `bytes` to the source, flushes it, and renames it to the target. An existing target is replaced: it
 * has the same bytes.
 *
 *     uploads/<id>~9f…      fdatasync, on the descriptor that wrote
 *            │ rename       not before the bytes are durable: the target is missing or whole
 *            ▼
 *     blobs/sha256/ab/<hex>/<id>     fsync of the directories, before the call settles
 *
 * `uploads/` is not flushed: no state names the source. After a crash it is at most a leftover. After an
 * error it is removed, so that a full disk does not fill further.
 */
export async function storeFile(
  { bytes, source, target }: Store,
  { layout, directories }: { layout: FilesystemLayout; directories: DurableDirectories },
): Promise<void> {
  const folder = dirname(target);
  await layout.expectMounted();
  try {
    await writeNew(source, bytes);
    await retryMissing(async () => {
      await directories.make(folder);
      await layout.refuseLinks(folder);
      await rename(source, target);
    });
  } catch (error) {
    await rm(source, { force: true }).catch(() => undefined);
    await layout.expectMounted(error);
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
    // On the descriptor that wrote: the system reports a lost write once, and not to a later descriptor.
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function retryMissing(work: () => Promise<void>): Promise<void> {
  for (let round = 1; ; round += 1) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || round === MAX_ROUNDS) throw error;
    }
  }
}
