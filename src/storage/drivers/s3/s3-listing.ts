import {
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import type { StoredMultipart, StoredObject } from '../../object-store/object-store.js';
import type { IoOptions } from '../../storage-driver.js';
import { StorageError } from '../../storage.errors.js';
import type { S3Caller } from './s3-caller.js';
import { isCode } from './s3.errors.js';

/** Objects below a prefix, a request for each page. */
export async function* listObjects(
  caller: S3Caller,
  prefix: string,
  options: IoOptions,
): AsyncIterable<StoredObject> {
  const Prefix = caller.keyOf(prefix);
  options.signal?.throwIfAborted();
  if (Prefix === undefined) return;
  const { client, bucket: Bucket } = caller;
  const MaxKeys = caller.options.pageSize;
  let token: string | undefined;
  do {
    const input = { Bucket, Prefix, MaxKeys, ...(token === undefined ? {} : { ContinuationToken: token }) };
    const page = await caller.call({ action: 'list objects' }, options, (http) =>
      client.send(new ListObjectsV2Command(input), http),
    );
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      // The caller may have given up since the page came.
      options.signal?.throwIfAborted();
      if (Key === undefined) continue;
      yield {
        name: caller.nameOf(Key),
        sizeBytes: Size ?? 0,
        modifiedAt: wholeSeconds(LastModified),
      };
    }
    token = nextMark(page.IsTruncated, page.NextContinuationToken, token);
  } while (token !== undefined);
}

/** Multiparts that nobody has completed; none where the store can't list them. */
export async function* listMultiparts(
  caller: S3Caller,
  prefix: string,
  options: IoOptions,
): AsyncIterable<StoredMultipart> {
  const Prefix = caller.keyOf(prefix);
  options.signal?.throwIfAborted();
  if (Prefix === undefined) return;
  const { client, bucket: Bucket } = caller;
  const MaxUploads = caller.options.pageSize;
  let mark: { key: string; id: string } | undefined;
  do {
    const input = {
      Bucket,
      Prefix,
      MaxUploads,
      ...(mark === undefined ? {} : { KeyMarker: mark.key, UploadIdMarker: mark.id }),
    };
    const page = await caller.call<Partial<ListMultipartUploadsCommandOutput>>(
      { action: 'list multipart uploads' },
      options,
      (http) => client.send(new ListMultipartUploadsCommand(input), http),
      { known: (error) => (isCode(error, 'NotImplemented') ? {} : undefined) },
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      options.signal?.throwIfAborted();
      if (Key === undefined || UploadId === undefined) continue;
      yield { name: caller.nameOf(Key), id: UploadId, startedAt: wholeSeconds(Initiated) };
    }
    const [key, id] = [page.NextKeyMarker ?? '', page.NextUploadIdMarker ?? ''];
    const next = nextMark(page.IsTruncated, `${key}\n${id}`, mark && `${mark.key}\n${mark.id}`);
    mark = next === undefined ? undefined : { key, id };
  } while (mark !== undefined);
}

/** Of a store that says that there is more, but not where, or always the same. It would never end. */
function nextMark(
  truncated: boolean | undefined,
  next: string | undefined,
  last: string | undefined,
): string | undefined {
  if (truncated !== true) return undefined;
  if (next === undefined || next.trim() === '' || next === last) {
    throw new StorageError('the store does not say where the next page of its list begins');
  }
  return next;
}

/** An answer to HEAD has no more. */
export function wholeSeconds(date: Date | undefined): Date {
  return new Date(Math.floor((date?.getTime() ?? 0) / 1000) * 1000);
}
