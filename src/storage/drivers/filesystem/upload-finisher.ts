import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UploadStateError } from '../../storage.errors.js';
import type { DurableDirectories } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';
import { expectBytes } from './upload-files.js';

/** Another process that finishes or deletes at the same time costs one more round; it can't do so for ever. */
const MAX_ROUNDS = 10;

/** From where to where, and how many bytes it must be. */
export interface Finish {
  readonly source: string;
  readonly target: string;
  readonly sizeBytes: number;
}

/**
 * Turns an upload's file into an object by one rename. Each round looks at the disk afresh, so it does not matter
 * how often it is called, by whom, or where an earlier call was cut off:
 *
 * | on the disk | what is done |
 * |---|---|
 * | target | the size is compared, directories are flushed: the earlier call may not have come so far |
 * | source | bytes past `sizeBytes` (nobody acknowledged them) are cut off; mkdir, rename, flush, next round |
 * | neither, `sizeBytes` is 0 | nothing was ever written: the empty target is created |
 * | neither | the bytes are lost: {@link UploadStateError} |
 *
 * A target is never replaced: a file that a fenced writer began anew under the same id is removed instead.
 */
export async function finishFile(
  finish: Finish,
  layout: FilesystemLayout,
  directories: DurableDirectories,
): Promise<void> {
  const folder = dirname(finish.target);
  await layout.expectMounted();

  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (await targetExists(finish)) {
      await layout.refuseLinks(finish.target);
      await directories.flush(folder);
      await rm(finish.source, { force: true });
      return;
    }
    const sourceExists = await trimSource(finish);
    if (!sourceExists && finish.sizeBytes > 0) {
      // Unless somebody else renamed it between the two looks.
      if (await targetExists(finish)) continue;
      throw new UploadStateError(`no file has the ${finish.sizeBytes} bytes of ${finish.source}`);
    }
    await unlessMissing(async () => {
      await directories.make(folder);
      await layout.refuseLinks(folder);
      await (sourceExists ? rename(finish.source, finish.target) : createEmpty(finish.target));
    });
  }
  throw new UploadStateError(`${finish.target} is made and removed again by somebody else`);
}

async function targetExists({ target, sizeBytes }: Finish): Promise<boolean> {
  const found = await unlessMissing(() => lstat(target));
  if (found !== undefined && (!found.isFile() || found.size !== sizeBytes)) {
    throw new UploadStateError(`${target} has ${found.size} bytes instead of ${sizeBytes}`);
  }
  return found !== undefined;
}

/** Answers whether the source is there. */
async function trimSource({ source, sizeBytes }: Finish): Promise<boolean> {
  const file = await unlessMissing(() => open(source, constants.O_WRONLY | constants.O_NOFOLLOW));
  if (file === undefined) {
    return false;
  }
  try {
    await trimFile(file, source, sizeBytes);
  } finally {
    await file.close();
  }
  return true;
}

async function trimFile(file: FileHandle, source: string, sizeBytes: number): Promise<void> {
  const { size } = await file.stat();
  expectBytes(source, size, sizeBytes);
  if (size > sizeBytes) await file.truncate(sizeBytes);
  // The bytes are durable since `flush`; a length that was cut, here or when the upload was opened last, may not be.
  await file.sync();
}

async function createEmpty(target: string): Promise<void> {
  // Not 'wx': empty is all that this target can be, whoever creates it.
  const file = await open(target, 'a');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
