import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StorageError, UploadStateError } from '../../storage.errors.js';
import type { Segment, UploadSegments } from '../upload-segments.js';
import type { DurableDirectories } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';
import { expectBytes, expectStored, readSegments, removeFiles } from './upload-files.js';

/**
 * A process that finishes or deletes concurrently costs another round. More rounds than this mean an error.
 */
const MAX_ROUNDS = 10;

/** The upload to finish, and the path of its object. */
export interface Finish {
  readonly segments: UploadSegments;
  readonly target: string;
}

export interface FinishContext {
  readonly layout: FilesystemLayout;
  readonly directories: DurableDirectories;
  readonly signal: AbortSignal | undefined;
}

/**
 * Turns an upload's last file, the source, into an object, the target, by one rename. Idempotent: each round
 * checks the disk again, so concurrent calls and calls that a crash interrupted do no harm.
 *
 * | on the disk | action |
 * |---|---|
 * | target | compare its size, flush directories (again), remove the upload's files: done |
 * | source | fill it, cut off unacknowledged bytes, mkdir, rename; next round |
 * | no source, but sealed files with all bytes | create the source, continue as above |
 * | neither, an upload of no bytes | create the empty target; next round |
 * | neither | the bytes are lost: {@link UploadStateError} |
 *
 * An existing target is not replaced: a file that a fenced writer created again under the id is removed. (If
 * two calls both create the source, the slower one may rename its file over the other's; both are durable and
 * have the same bytes.)
 *
 * Filling is for uploads that were fenced. A fenced writer still has its file open, so the upload continued
 * in a new file. Each file has its bytes at their offset in the upload, so only the hole of the last file is
 * copied. Concurrent calls write the same bytes to the same places, and no fenced writer has this file open.
 *
 *     uploads/<id>      ████████████▒▒▒▒▒▒   sealed: read up to the fence, later bytes are ignored
 *                            │ copied here, unless `cloneHead` could clone the file
 *     uploads/<id>~9f…  ░░░░░▼░░░░░░██████►  ──────rename──────► blobs/sha256/ab/<hex>/<id>
 */
export async function finishFile(finish: Finish, context: FinishContext): Promise<void> {
  const { segments, target } = finish;
  const { layout, directories } = context;
  const folder = dirname(target);
  const source = layout.segmentPath(segments.open.name);
  await layout.expectMounted();

  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (await targetExists(finish)) {
      await layout.refuseLinks(target);
      await directories.flush(folder);
      await removeFiles(segments.all.map(({ name }) => layout.segmentPath(name)));
      return;
    }
    let isComplete: boolean;
    try {
      isComplete = await completeSource(source, segments, context);
    } catch (error) {
      // A concurrent call may have renamed the source and removed the sealed files.
      if (await targetExists(finish)) continue;
      await layout.expectMounted(error);
      throw error;
    }
    await ignoreMissing(async () => {
      await directories.make(folder);
      await layout.refuseLinks(folder);
      await (isComplete ? rename(source, target) : createEmpty(target));
    });
  }
  throw new UploadStateError(`${target} was created and removed concurrently ${MAX_ROUNDS} times`);
}

async function targetExists({ segments, target }: Finish): Promise<boolean> {
  const found = await ignoreMissing(() => lstat(target));
  if (found !== undefined && (!found.isFile() || found.size !== segments.sizeBytes)) {
    throw new UploadStateError(`${target} has ${found.size} bytes instead of ${segments.sizeBytes}`);
  }
  return found !== undefined;
}

/** Returns whether the source exists; it then has every byte. An upload of no bytes may have no source. */
async function completeSource(
  source: string,
  segments: UploadSegments,
  context: FinishContext,
): Promise<boolean> {
  const { startBytes, endBytes } = segments.open;
  const sealed = segments.firstBytes(startBytes);
  await expectStored(sealed, context.layout);
  const create = startBytes === endBytes && endBytes > 0 ? constants.O_CREAT : 0;
  const file = await ignoreMissing(() => open(source, constants.O_WRONLY | constants.O_NOFOLLOW | create));
  if (file === undefined) {
    expectBytes(source, 0, endBytes);
    return false;
  }
  try {
    const { size } = await file.stat();
    if (startBytes < endBytes) expectBytes(source, size, endBytes);
    await fill(file, sealed, context);
    if (size > endBytes) await file.truncate(endBytes);
    // The bytes are durable since `flush`, but a truncation here or at the last `openUpload` may not be.
    await file.sync();
    return true;
  } finally {
    await file.close();
  }
}

async function fill(file: FileHandle, sealed: readonly Segment[], context: FinishContext): Promise<void> {
  let position = 0;
  for await (const chunk of readSegments(sealed, context.layout, context.signal)) {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position);
      if (bytesWritten === 0) {
        throw new StorageError('finishing an upload: the file accepts no more bytes');
      }
      done += bytesWritten;
      position += bytesWritten;
    }
  }
}

async function createEmpty(target: string): Promise<void> {
  // Not 'wx': a concurrent call can only create the same empty file.
  const file = await open(target, 'a');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function ignoreMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
