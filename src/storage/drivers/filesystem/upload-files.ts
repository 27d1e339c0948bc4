import { constants, type Stats } from 'node:fs';
import { copyFile, type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { UploadStateError } from '../../storage.errors.js';
import type { Segment, UploadSegments } from '../upload-segments.js';
import { FileReadable } from './file-readable.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing, translating } from './filesystem.errors.js';
import { READ_FLAGS } from './open-file.js';

/** Makes `to`, which must not exist, a second file of the same content without copying it, or rejects. */
export type FileClone = (from: string, to: string) => Promise<void>;

/** FICLONE of Btrfs and XFS, clonefile of APFS. Elsewhere it fails and leaves nothing. */
export const cloneFile: FileClone = (from, to) =>
  copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);

/**
 * Opens the open segment's file at its end and drops what lies past it, which nobody acknowledged. The truncation is
 * the first and only one that comes of an opening, and goes to a size that was acknowledged: done late, by a process that
 * was stopped before it and has been shut out since, it takes nothing from anybody.
 */
export async function openEnd(path: string, { startBytes, endBytes }: Segment): Promise<FileHandle> {
  const isNew = startBytes === endBytes;
  const flags = constants.O_WRONLY | constants.O_NOFOLLOW | (isNew ? constants.O_CREAT : 0);
  const file = await open(path, flags).catch((error: unknown) => {
    if (isMissing(error)) expectBytes(path, 0, endBytes, error);
    throw error;
  });
  try {
    const { size } = await file.stat();
    // The file has a hole where earlier segments have the bytes, and may not even reach to its end.
    if (!isNew) expectBytes(path, size, endBytes);
    if (size > endBytes) {
      await file.truncate(endBytes);
    }
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Where the file system can share blocks between files, the file of a new segment begins as a clone of the one that has
 * everything before it. Nothing is then left to be gathered when the upload is finished.
 */
export async function cloneHead(
  segments: UploadSegments,
  layout: FilesystemLayout,
  clone: FileClone,
): Promise<UploadSegments> {
  const { open: last, sealed, sizeBytes } = segments;
  const whole = sealed.find(({ startBytes, endBytes }) => startBytes === 0 && endBytes === sizeBytes);
  if (whole === undefined || sizeBytes === 0 || last.startBytes !== sizeBytes) {
    return segments;
  }
  try {
    await clone(layout.segmentPath(whole.name), layout.segmentPath(last.name));
    return segments.gathered();
  } catch {
    // It can't be had here, or an earlier opening made the file: the copy that is due in the end will do.
    return segments;
  }
}

/**
 * Settles when the medium holds the bytes of these segments.
 *
 * @throws UploadStateError; StorageIdentityError where they are missing because the disk is.
 */
export async function expectHeld(segments: readonly Segment[], layout: FilesystemLayout): Promise<void> {
  for (const { name, endBytes } of segments) {
    const path = layout.segmentPath(name);
    const stats = await lstat(path).catch(async (error: unknown) => {
      if (!isMissing(error)) throw error;
      await layout.expectMounted(error);
      expectBytes(path, 0, endBytes, error);
      throw error;
    });
    expectBytes(path, stats.isFile() ? stats.size : 0, endBytes);
  }
}

/** The bytes of the segments, one after the other; one file is open at a time. */
export async function* readSegments(
  segments: readonly Segment[],
  layout: FilesystemLayout,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  for (const { name, startBytes, endBytes } of segments) {
    signal?.throwIfAborted();
    const path = layout.segmentPath(name);
    const stream = await translating('reading an upload', () =>
      openReadable(path, ({ size }) => {
        expectBytes(path, size, endBytes);
        return { start: startBytes, end: endBytes };
      }),
    );
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        yield chunk;
      }
    } finally {
      stream.destroy();
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
    }
  }
}

/** Opens the bytes of a file that `rangeIn` chooses; whatever it throws, the file is closed. */
export async function openReadable(
  path: string,
  rangeIn: (stats: Stats) => { start: number; end: number },
): Promise<FileReadable> {
  const file = await open(path, READ_FLAGS);
  try {
    const { start, end } = rangeIn(await file.stat());
    return new FileReadable(file, start, end);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Missing is success. */
export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await rm(path, { force: true });
  }
}

/** @throws UploadStateError when bytes are gone that were acknowledged. */
export function expectBytes(path: string, size: number, expected: number, cause?: unknown): void {
  if (size < expected) {
    throw new UploadStateError(`${path} has ${size} bytes; ${expected} were made durable`, { cause });
  }
}
