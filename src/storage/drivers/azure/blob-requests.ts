import { Readable } from 'node:stream';
import type { BlockBlobClient } from '@azure/storage-blob';
import { ObjectNotFoundError, StorageError } from '../../storage.errors.js';
import { hasCode, isBlobMissing, redacted } from './azure-response.js';

/** Metadata of the empty blob that exists for a moment where an upload is aborted. */
const TOMBSTONE = 'berthaborted';

export interface BlobStat {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly etag: string | undefined;
  /** Not an object: an abort left it and will delete it. */
  readonly isTombstone: boolean;
}

export async function stat(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<BlobStat | undefined> {
  const found = await blob.getProperties({ abortSignal }).catch(ignoring(isBlobMissing));
  return (
    found && {
      sizeBytes: found.contentLength ?? 0,
      modifiedAt: found.lastModified ?? new Date(0),
      etag: found.etag,
      isTombstone: found.metadata?.[TOMBSTONE] !== undefined,
    }
  );
}

/**
 * Sends one request. The SDK would resume a broken stream without a time limit; `readResuming` does it
 * instead.
 */
export async function download(
  blob: BlockBlobClient,
  name: string,
  { start, length, abortSignal }: { start: number; length: number; abortSignal: AbortSignal },
): Promise<Readable> {
  const response = await blob
    .download(start, length, { abortSignal, maxRetryRequests: 0 })
    .catch((error: unknown) => {
      throw isBlobMissing(error) ? new ObjectNotFoundError(name, { cause: redacted(error) }) : error;
    });
  const { readableStreamBody: stream, contentLength } = response;
  // The SDK's stream is a Readable; its type doesn't say so.
  if (!(stream instanceof Readable)) throw new StorageError(`Azure returned no bytes of ${name}`);
  if (contentLength === length) return stream;
  stream.destroy();
  throw new StorageError(`${name} has fewer bytes than requested`);
}

/**
 * Makes the staged blocks of a blob unusable, unless the blob was made of them. Azure deletes blocks that a
 * block list does not name, so this creates an empty blob where there is none, and deletes it. A retry after
 * a lost response finds the empty blob of the attempt before.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/put-block-list
 */
export async function dropBlocks(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<void> {
  const etag = (await putTombstone(blob, abortSignal)) ?? (await findTombstone(blob, abortSignal));
  if (etag === undefined) return;
  // If it is missing or changed, a concurrent abort has deleted it.
  await blob
    .delete({ abortSignal, conditions: { ifMatch: etag } })
    .catch(ignoring((error) => isBlobMissing(error) || hasCode(error, 'ConditionNotMet')));
}

async function putTombstone(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<string | undefined> {
  const response = await blob
    .commitBlockList([], { abortSignal, metadata: { [TOMBSTONE]: 'true' }, conditions: { ifNoneMatch: '*' } })
    .catch(ignoring((error) => hasCode(error, 'BlobAlreadyExists', 'ConditionNotMet')));
  return response?.etag;
}

async function findTombstone(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<string | undefined> {
  const found = await stat(blob, abortSignal);
  return found?.isTombstone === true ? found.etag : undefined;
}

/** For `catch`: turns an expected error into undefined. */
export function ignoring(isExpected: (error: unknown) => boolean): (error: unknown) => undefined {
  return (error) => {
    if (!isExpected(error)) throw error;
    return undefined;
  };
}
