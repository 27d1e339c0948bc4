import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type DeleteObjectsCommandOutput,
} from '@aws-sdk/client-s3';
import type { IoOptions } from '../../storage-driver.js';
import type { S3Caller } from './s3-caller.js';
import { isCode, isRetryableCode, toStorageError } from './s3.errors.js';

const CALL = { action: 'delete objects' };

/** Deletes objects, up to a page of them per request. */
export async function deleteObjects(
  caller: S3Caller,
  names: readonly string[],
  options: IoOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  const keys = names.map((name) => caller.keyOf(name)).filter((key) => key !== undefined);
  const { pageSize } = caller.options;
  for (let start = 0; start < keys.length; start += pageSize) {
    const chunk = keys.slice(start, start + pageSize);
    const rest = chunk.length === 1 ? chunk : await deleteTogether(caller, chunk, options);
    for (const key of rest) await deleteOne(caller, key, options);
  }
}

async function deleteOne(caller: S3Caller, Key: string, options: IoOptions): Promise<void> {
  const command = new DeleteObjectCommand({ Bucket: caller.bucket, Key });
  await caller.call(CALL, options, (http) => caller.client.send(command, http), {
    known: (error) => (isCode(error, 'NoSuchKey') ? { $metadata: {} } : undefined),
  });
}

/**
 * Returns the keys that must be deleted one by one: all of them if the store has no DeleteObjects, and those
 * that the store throttled, because the SDK retries only a request that fails as a whole.
 */
async function deleteTogether(
  caller: S3Caller,
  keys: readonly string[],
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
  const errors = (response.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey');
  const refused = errors.find(({ Code }) => !isRetryableCode(Code ?? ''));
  if (refused) {
    const error = Object.assign(new Error(refused.Message), { name: refused.Code ?? 'no code' });
    throw toStorageError(error, { ...CALL, bucket: caller.bucket, endpoint: caller.endpoint });
  }
  return errors.map(({ Key }) => Key).filter((key) => key !== undefined);
}
