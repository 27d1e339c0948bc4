import { lstat, rmdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { mapBounded } from '../../../common/map-bounded.js';
import type { DeletionFailures } from '../../driver-abilities.js';
import type { ObjectKey } from '../../object-key.js';
import type { IoOptions } from '../../storage-driver.js';
import { ObjectNotFoundError, StorageError, StorageUnavailableError } from '../../storage.errors.js';
import type { DirectorySync } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing, translateErrors } from './filesystem.errors.js';

/** Half of the threads that Node has for files. */
const CONCURRENT_DELETES = 2;

/** Deletes an object. Succeeds if it is missing. Not durable. @throws StorageError */
export async function deleteObject(key: ObjectKey, layout: FilesystemLayout): Promise<void> {
  await translateErrors('deleting an object', async () => {
    try {
      await unlinkObject(key, layout);
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return;
      if (!isMissing(error)) throw error;
      await layout.expectMounted(error);
    }
  });
}

/** Deletes objects durably: flushes each directory that has changed. See `BulkDeletingStorageDriver`. */
export async function deleteObjects(
  keys: readonly ObjectKey[],
  layout: FilesystemLayout,
  sync: DirectorySync,
  { signal }: IoOptions,
): Promise<DeletionFailures> {
  const failures = new Map<ObjectKey, StorageError>();
  await mapBounded(keys, CONCURRENT_DELETES, async (key) => {
    signal?.throwIfAborted();
    try {
      await deleteObject(key, layout);
    } catch (error) {
      if (!(error instanceof StorageError) || error instanceof StorageUnavailableError) throw error;
      failures.set(key, error);
    }
  });
  await translateErrors('flushing deletions', async () => {
    const deleted = keys.filter((key) => !failures.has(key) && !layout.isReserved(key.split('/')[0] ?? ''));
    const folders = new Set(deleted.map((key) => dirname(layout.objectPath(key))));
    const changed = await mapBounded([...folders], CONCURRENT_DELETES, (path) => existing(path, layout));
    await mapBounded([...new Set(changed)], CONCURRENT_DELETES, async (path) => {
      signal?.throwIfAborted();
      await syncExisting(path, layout, sync);
    });
  });
  return failures;
}

async function unlinkObject(key: ObjectKey, layout: FilesystemLayout): Promise<void> {
  const path = layout.objectPath(key);
  try {
    await layout.refuseLinks(dirname(path));
    // Directories, pipes and links are not objects.
    if ((await lstat(path)).isFile()) await unlink(path);
  } finally {
    await removeDigestFolder(key, dirname(path));
  }
}

/**
 * Removes a digest's directory with its last object; the shard directories stay, at most 256. rmdir refuses a
 * directory with entries, and `finishFile` creates a removed one again.
 */
async function removeDigestFolder(key: ObjectKey, folder: string): Promise<void> {
  const [top, , , , id, ...more] = key.split('/');
  if (top === 'blobs' && id !== undefined && more.length === 0) {
    await rmdir(folder).catch(() => undefined);
  }
}

/** The directory that has lost an entry: `path`, or its nearest parent if `path` itself was removed. */
async function existing(path: string, layout: FilesystemLayout): Promise<string> {
  try {
    if (path === layout.root || (await lstat(path)).isDirectory()) return path;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return existing(dirname(path), layout);
}

/** Another process may remove the directory at the same time. */
async function syncExisting(path: string, layout: FilesystemLayout, sync: DirectorySync): Promise<void> {
  try {
    await sync(path);
  } catch (error) {
    if (!isMissing(error) || path === layout.root) throw error;
    await syncExisting(await existing(dirname(path), layout), layout, sync);
  }
}
