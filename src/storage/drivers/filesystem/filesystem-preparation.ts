import { randomUUID } from 'node:crypto';
import { lstat, open, opendir, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../../../common/make-directory.js';
import type { OwnObject } from '../../own-object.js';
import { StorageError, StorageFullError } from '../../storage.errors.js';
import type { DirectorySync } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { errorCode, isFull, isMissing, storageErrorOf } from './filesystem.errors.js';
import { walkObjects } from './object-walk.js';
import { readOwnFile, writeOwnFile } from './own-file.js';
import { walkUploads } from './upload-walk.js';

const PROBE = Buffer.from('Berth can write here.\n');
const PROBE_NAME = '.probe-';
/** Probes older than this were left by a killed process. */
const PROBE_MAX_AGE_MS = 60_000;

/**
 * Durably creates the root and its two directories, and checks that a file can be written, flushed and
 * removed there. A full file system passes, because its objects can be read; {@link checkDirectories} reports
 * that it is full.
 *
 * @throws StorageError that names the directory and says what to do.
 */
export async function prepareDirectories(layout: FilesystemLayout, sync: DirectorySync): Promise<void> {
  try {
    await makeRoot(layout.root, sync);
    for (const folder of [layout.blobs, layout.uploads]) {
      await makeDirectory(folder);
    }
    await sync(layout.root);
    await expectOneFileSystem(layout);
    await removeOldProbes(layout);
    await writeProbe(layout, (file) => file.sync()).catch((error: unknown) => {
      if (!isFull(error)) throw error;
    });
    await sync(layout.uploads);
  } catch (error) {
    throw explain(error, layout.root);
  }
}

/**
 * Writes an object of Berth's own, and creates a missing root.
 *
 * @throws StorageError as {@link prepareDirectories}
 */
export async function writeOwn<T>(
  layout: FilesystemLayout,
  own: OwnObject<T>,
  value: T,
  sync: DirectorySync,
): Promise<void> {
  try {
    await makeRoot(layout.root, sync);
    await writeOwnFile(layout.root, own, value, sync);
  } catch (error) {
    throw explain(error, layout.root);
  }
}

/** Returns undefined if the storage has none. @throws StorageError as {@link prepareDirectories} */
export async function readOwn<T>(layout: FilesystemLayout, own: OwnObject<T>): Promise<T | undefined> {
  try {
    return await readOwnFile(layout.root, own);
  } catch (error) {
    throw explain(error, layout.root);
  }
}

/**
 * Returns whether there are neither objects in `blobs` nor files of uploads.
 *
 * @throws StorageError as {@link prepareDirectories}
 */
export async function isEmptyStorage(layout: FilesystemLayout): Promise<boolean> {
  try {
    if (await exists(layout.blobs)) for await (const _ of walkObjects(layout, 'blobs/')) return false;
    if (await exists(layout.uploads)) for await (const _ of walkUploads(layout)) return false;
    return true;
  } catch (error) {
    throw explain(error, layout.root);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Readiness: a small file can be written and space is free. Flushes nothing, so that a probe per second
 * doesn't slow down uploads.
 */
export async function checkDirectories(layout: FilesystemLayout): Promise<void> {
  try {
    await writeProbe(layout, () => Promise.resolve());
    const { bavail } = await statfs(layout.uploads);
    if (bavail === 0) {
      throw new StorageFullError(`the file system of the storage directory ${layout.root} is full`);
    }
  } catch (error) {
    throw explain(error, layout.root);
  }
}

async function makeRoot(root: string, sync: DirectorySync): Promise<void> {
  const firstCreated = await makeDirectory(root);
  if (firstCreated === undefined) {
    return;
  }
  // Sync the parent of every new directory: a directory is an entry in its parent.
  for (let directory = root; directory.length >= firstCreated.length; directory = dirname(directory)) {
    await sync(dirname(directory));
  }
}

/** Finishing renames a file from `uploads` to `blobs`, which works only within one file system. */
async function expectOneFileSystem({ root, blobs, uploads }: FilesystemLayout): Promise<void> {
  const [inBlobs, inUploads] = await Promise.all([lstat(blobs), lstat(uploads)]);
  if (!inBlobs.isDirectory() || !inUploads.isDirectory() || inBlobs.dev !== inUploads.dev) {
    throw new StorageError(
      `blobs and uploads in the storage directory ${root} must be directories on one file system, ` +
        'not links or mounts; set STORAGE_FILESYSTEM_ROOT to use another directory',
    );
  }
}

async function writeProbe(
  layout: FilesystemLayout,
  flush: (file: { sync(): Promise<void> }) => Promise<void>,
): Promise<void> {
  // Replicas share the directory, so each probe has a unique name.
  const path = join(layout.uploads, `${PROBE_NAME}${randomUUID()}`);
  const file = await open(path, 'wx');
  try {
    await file.writeFile(PROBE);
    await flush(file);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

async function removeOldProbes({ uploads }: FilesystemLayout): Promise<void> {
  for await (const { name } of await opendir(uploads)) {
    if (!name.startsWith(PROBE_NAME)) continue;
    const path = join(uploads, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats !== undefined && Date.now() - stats.mtimeMs > PROBE_MAX_AGE_MS) await rm(path, { force: true });
  }
}

function explain(error: unknown, root: string): StorageError {
  const directory = `the storage directory ${root}`;
  if (isFull(error)) {
    return new StorageFullError(`${directory} is on a full file system: free some space`, {
      cause: error,
    });
  }
  const reason = REASONS[errorCode(error) ?? ''];
  return reason === undefined
    ? storageErrorOf(error, `${directory} cannot be used`)
    : new StorageError(`${directory} ${reason()}`, { cause: error });
}

const denied = (): string =>
  `cannot be written by user ${process.geteuid?.() ?? 'of this process'}: ` +
  'make that user its owner, or set STORAGE_FILESYSTEM_ROOT to another directory';
const notADirectory = (): string => 'is not a directory, or a parent in its path is not one';

const REASONS: Record<string, (() => string) | undefined> = {
  EACCES: denied,
  EPERM: denied,
  EROFS: () => 'is on a read-only file system',
  ENOTDIR: notADirectory,
  EEXIST: notADirectory,
  ENOENT: () => 'is missing: check that its disk is mounted',
};
