import { constants, type Stats } from 'node:fs';
import { copyFile, type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { UploadStateError } from '../../storage.errors.js';
import type { Segment, UploadSegments } from '../upload-segments.js';
import { FileReadable } from './file-readable.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing, translateErrors } from './filesystem.errors.js';
import { READ_FLAGS } from './open-file.js';

/** Creates `to`, which must not exist, with the content of `from`, without copying. Rejects if it can't. */
export type FileClone = (from: string, to: string) => Promise<void>;

/** FICLONE on Btrfs and XFS, clonefile on APFS. Fails on other file systems and leaves nothing behind. */
export const cloneFile: FileClone = (from, to) =>
  copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);

/**
 * Opens the file of the open segment and truncates unacknowledged bytes after its end. This is the only
 * truncation by a writer, and it keeps all acknowledged bytes. So it is harmless even if a process that was
 * suspended and fenced does it late.
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
    // A new file may not exist yet or be shorter: earlier segments have its bytes.
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
 * Creates the file of a new segment as a clone of the segment with all bytes before it, if the file system
 * can share blocks between files. Finishing the upload then has nothing to copy.
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
    // Not supported here, or the file exists already. Finishing the upload copies the bytes instead.
    return segments;
  }
}

/**
 * Checks that the files have the bytes of these segments.
 *
 * @throws UploadStateError; StorageIdentityError if the disk is not mounted.
 */
export async function expectStored(segments: readonly Segment[], layout: FilesystemLayout): Promise<void> {
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

/** Reads the segments in order, with one open file at a time. */
export async function* readSegments(
  segments: readonly Segment[],
  layout: FilesystemLayout,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  for (const { name, startBytes, endBytes } of segments) {
    signal?.throwIfAborted();
    const path = layout.segmentPath(name);
    const stream = await translateErrors('reading an upload', () =>
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

/** Opens the range of a file that `rangeIn` returns. If `rangeIn` throws, the file is closed. */
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

/** Succeeds for files that are missing. */
export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await rm(path, { force: true });
  }
}

/** @throws UploadStateError if acknowledged bytes are missing. */
export function expectBytes(path: string, size: number, expected: number, cause?: unknown): void {
  if (size < expected) {
    throw new UploadStateError(`${path} has ${size} bytes instead of at least ${expected}`, { cause });
  }
}
