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

/** Lists objects whose name begins with `prefix`, one request per page. */
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
      // The caller may have aborted since the page arrived.
      options.signal?.throwIfAborted();
      if (Key === undefined) continue;
      yield {
        name: caller.nameOf(Key),
        sizeBytes: Size ?? 0,
        modifiedAt: wholeSeconds(LastModified),
      };
    }
    token = nextMarker(page.IsTruncated, page.NextContinuationToken, token);
  } while (token !== undefined);
}

/** Lists multipart uploads in progress; empty if the store can't list them. */
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
  let marker: { key: string; id: string } | undefined;
  do {
    const input = {
      Bucket,
      Prefix,
      MaxUploads,
      ...(marker === undefined ? {} : { KeyMarker: marker.key, UploadIdMarker: marker.id }),
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
    const next = nextMarker(page.IsTruncated, `${key}\n${id}`, marker && `${marker.key}\n${marker.id}`);
    marker = next === undefined ? undefined : { key, id };
  } while (marker !== undefined);
}

/** @throws StorageError if there is a next page but no new marker for it, which would never end. */
function nextMarker(
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

/** A response to HEAD has only whole seconds. */
export function wholeSeconds(date: Date | undefined): Date {
  return new Date(Math.floor((date?.getTime() ?? 0) / 1000) * 1000);
}
