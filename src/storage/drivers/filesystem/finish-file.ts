import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StorageError, UploadStateError } from '../../storage.errors.js';
import type { Segment, UploadSegments } from '../upload-segments.js';
import type { DurableDirectories } from './durable-directories.js';
import type { FilesystemLayout } from './filesystem-layout.js';
import { isMissing } from './filesystem.errors.js';
import { expectBytes, expectHeld, readSegments, removeFiles } from './upload-files.js';

/** Another process that finishes or deletes at the same time costs one more round; it can't do so for ever. */
const MAX_ROUNDS = 10;

/** Of what, and where to. */
export interface Finish {
  readonly segments: UploadSegments;
  readonly target: string;
}

/** Where it happens, and until when. */
export interface FinishSite {
  readonly layout: FilesystemLayout;
  readonly directories: DurableDirectories;
  readonly signal: AbortSignal | undefined;
}

/**
 * Turns an upload's last file into an object by one rename. Each round looks at the disk afresh, so it does not matter
 * how often it is called, by whom, or where an earlier call was cut off:
 *
 * | on the disk | what is done |
 * |---|---|
 * | target | the size is compared, directories are flushed: the earlier call may not have come so far |
 * | source | filled, and bytes past the size (nobody acknowledged them) are cut off; mkdir, rename, flush, next round |
 * | no source, but all bytes are in sealed files | it is created, and then as above |
 * | neither, there are no bytes | nothing was ever written: the empty target is created |
 * | neither | the bytes are lost: {@link UploadStateError} |
 *
 * A target is never replaced: a file that a fenced writer began anew under the same id is removed instead. (Of two
 * that both create the source, the slower one may rename its own over the other's: the same bytes, and as durable.)
 *
 * Filling is for an upload that was taken from a writer which never let go. Each file has its bytes at their offset in
 * the upload, so the last one has a hole where sealed files have the bytes, and only these are copied. Whoever does it,
 * however often, writes the same bytes to the same places; and nobody who was shut out has this file.
 */
export async function finishFile(finish: Finish, site: FinishSite): Promise<void> {
  const { segments, target } = finish;
  const { layout, directories } = site;
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
      isComplete = await completeSource(source, segments, site);
    } catch (error) {
      // Unless somebody else renamed it, and removed the sealed files, between the two looks.
      if (await targetExists(finish)) continue;
      await layout.expectMounted(error);
      throw error;
    }
    await unlessMissing(async () => {
      await directories.make(folder);
      await layout.refuseLinks(folder);
      await (isComplete ? rename(source, target) : createEmpty(target));
    });
  }
  throw new UploadStateError(`${target} is made and removed again by somebody else`);
}

async function targetExists({ segments, target }: Finish): Promise<boolean> {
  const found = await unlessMissing(() => lstat(target));
  if (found !== undefined && (!found.isFile() || found.size !== segments.sizeBytes)) {
    throw new UploadStateError(`${target} has ${found.size} bytes instead of ${segments.sizeBytes}`);
  }
  return found !== undefined;
}

/** Answers whether there is a source, which has every byte then; there need be none for an upload of no bytes. */
async function completeSource(source: string, segments: UploadSegments, site: FinishSite): Promise<boolean> {
  const { startBytes, endBytes } = segments.open;
  const sealed = segments.firstBytes(startBytes);
  await expectHeld(sealed, site.layout);
  const create = startBytes === endBytes && endBytes > 0 ? constants.O_CREAT : 0;
  const file = await unlessMissing(() => open(source, constants.O_WRONLY | constants.O_NOFOLLOW | create));
  if (file === undefined) {
    expectBytes(source, 0, endBytes);
    return false;
  }
  try {
    const { size } = await file.stat();
    if (startBytes < endBytes) expectBytes(source, size, endBytes);
    await fill(file, sealed, site);
    if (size > endBytes) await file.truncate(endBytes);
    // The bytes are durable since `flush`; a length that was cut, here or when the upload was opened last, may not be.
    await file.sync();
    return true;
  } finally {
    await file.close();
  }
}

async function fill(file: FileHandle, sealed: readonly Segment[], site: FinishSite): Promise<void> {
  let position = 0;
  for await (const chunk of readSegments(sealed, site.layout, site.signal)) {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position);
      if (bytesWritten === 0) {
        throw new StorageError('finishing an upload: the file takes no more bytes');
      }
      done += bytesWritten;
      position += bytesWritten;
    }
  }
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
