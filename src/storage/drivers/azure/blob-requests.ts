import { Readable } from 'node:stream';
import type { BlockBlobClient } from '@azure/storage-blob';
import { ObjectNotFoundError, StorageError } from '../../storage.errors.js';
import { answered, isBlobMissing, shorn } from './azure-answer.js';

/** On the empty blob that is, for a moment, where the object of an aborted upload would have been. */
const TOMBSTONE = 'berthaborted';

export interface BlobStat {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly etag: string | undefined;
  /** Is no object, but left by an abort that isn't done. */
  readonly isTombstone: boolean;
}

export async function lookAt(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<BlobStat | undefined> {
  const found = await blob.getProperties({ abortSignal }).catch(unless(isBlobMissing));
  return (
    found && {
      sizeBytes: found.contentLength ?? 0,
      modifiedAt: found.lastModified ?? new Date(0),
      etag: found.etag,
      isTombstone: found.metadata?.[TOMBSTONE] !== undefined,
    }
  );
}

/** One request. The SDK would go on with a broken stream by itself, without a limit to its time: the engine does it. */
export async function download(
  blob: BlockBlobClient,
  name: string,
  { start, length, abortSignal }: { start: number; length: number; abortSignal: AbortSignal },
): Promise<NodeJS.ReadableStream> {
  const answer = await blob
    .download(start, length, { abortSignal, maxRetryRequests: 0 })
    .catch((error: unknown) => {
      throw isBlobMissing(error) ? new ObjectNotFoundError(name, { cause: shorn(error) }) : error;
    });
  const { readableStreamBody: stream, contentLength } = answer;
  if (stream === undefined) throw new StorageError(`Azure answered nothing to read of ${name}`);
  if (contentLength === length) return stream;
  destroy(stream);
  throw new StorageError(`${name} has fewer bytes than were asked for`);
}

/**
 * Makes the staged blocks of a blob unusable, unless it was made of them. Azure deletes the blocks that a block list
 * doesn't name, so where there is no blob one of no blocks is made, and deleted. Repeated after a lost answer it finds
 * its own one.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/put-block-list
 */
export async function dropBlocks(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<void> {
  const etag = (await putTombstone(blob, abortSignal)) ?? (await findTombstone(blob, abortSignal));
  if (etag === undefined) return;
  // Not there, or another one: whoever aborts at the same time has deleted it.
  await blob
    .delete({ abortSignal, conditions: { ifMatch: etag } })
    .catch(unless((error) => isBlobMissing(error) || answered(error, 'ConditionNotMet')));
}

async function putTombstone(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<string | undefined> {
  const answer = await blob
    .commitBlockList([], { abortSignal, metadata: { [TOMBSTONE]: 'true' }, conditions: { ifNoneMatch: '*' } })
    .catch(unless((error) => answered(error, 'BlobAlreadyExists', 'ConditionNotMet')));
  return answer?.etag;
}

async function findTombstone(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<string | undefined> {
  const found = await lookAt(blob, abortSignal);
  return found?.isTombstone === true ? found.etag : undefined;
}

/** For `catch`: an expected failure is an answer without a value. */
export function unless(isExpected: (error: unknown) => boolean): (error: unknown) => undefined {
  return (error) => {
    if (!isExpected(error)) throw error;
    return undefined;
  };
}

export function destroy(stream: NodeJS.ReadableStream): void {
  // The SDK's is one; its type doesn't say so.
  if (stream instanceof Readable) stream.destroy();
}
