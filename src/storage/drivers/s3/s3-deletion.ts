import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type DeleteObjectsCommandOutput,
} from '@aws-sdk/client-s3';
import type { RefusedDeletions } from '../../object-store/object-store.js';
import { deleteEach } from '../../object-store/refused-deletions.js';
import type { IoOptions } from '../../storage-driver.js';
import type { StorageError } from '../../storage.errors.js';
import type { S3Caller } from './s3-caller.js';
import { isCode, isRetryableCode, toStorageError } from './s3.errors.js';

const CALL = { action: 'delete objects' };

/** Requests for one object each, at a time. */
const CONCURRENT_DELETES = 8;

/** Deletes objects, up to a page of them per request. Returns those that the store refused to delete. */
export async function deleteObjects(
  caller: S3Caller,
  names: readonly string[],
  options: IoOptions,
): Promise<RefusedDeletions> {
  options.signal?.throwIfAborted();
  const keys = names.map((name) => caller.keyOf(name)).filter((key) => key !== undefined);
  const { pageSize } = caller.options;
  const refused = new Map<string, StorageError>();
  for (let start = 0; start < keys.length; start += pageSize) {
    const chunk = keys.slice(start, start + pageSize);
    const rest = chunk.length === 1 ? chunk : await deleteTogether(caller, chunk, refused, options);
    const more = await deleteEach(rest, CONCURRENT_DELETES, (key) => deleteOne(caller, key, options));
    for (const [key, error] of more) refused.set(key, error);
  }
  return new Map([...refused].map(([key, error]) => [caller.nameOf(key), error]));
}

async function deleteOne(caller: S3Caller, Key: string, options: IoOptions): Promise<void> {
  const command = new DeleteObjectCommand({ Bucket: caller.bucket, Key });
  await caller.call(CALL, options, (http) => caller.client.send(command, http), {
    known: (error) => (isCode(error, 'NoSuchKey') ? { $metadata: {} } : undefined),
  });
}

/**
 * Returns the keys that must be deleted one by one: all of them if the store has no DeleteObjects, and those
 * that the store throttled, because the SDK retries only a request that fails as a whole. Adds the others
 * that the store did not delete to `refused`.
 */
async function deleteTogether(
  caller: S3Caller,
  keys: readonly string[],
  refused: Map<string, StorageError>,
  options: IoOptions,
): Promise<readonly string[]> {
  const command = new DeleteObjectsCommand({
    Bucket: caller.bucket,
    Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
  });
  const response = await caller.call<DeleteObjectsCommandOutput | 'unsupported'>(
    CALL,
    options,
    (http) => caller.client.send(command, http),
    { known: (error) => (isCode(error, 'NotImplemented', 'MethodNotAllowed') ? 'unsupported' : undefined) },
  );
  if (response === 'unsupported') return keys;
  const throttled: string[] = [];
  for (const { Key, Code = '', Message } of response.Errors ?? []) {
    if (Key === undefined || Code === 'NoSuchKey') continue;
    if (isRetryableCode(Code)) throttled.push(Key);
    else {
      const error = Object.assign(new Error(Message), { name: Code === '' ? 'no code' : Code });
      refused.set(Key, toStorageError(error, { ...CALL, bucket: caller.bucket, endpoint: caller.endpoint }));
    }
  }
  return throttled;
}
