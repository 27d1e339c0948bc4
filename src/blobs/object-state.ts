import type { StorageDriver } from '../storage/storage-driver.js';
import { ObjectNotFoundError, StorageUnavailableError } from '../storage/storage.errors.js';
import type { BlobRecord } from './blob.store.js';

/** What the storage says of the object that a blob's row names. */
export type ObjectState = 'present' | 'missing' | 'wrong size';

/**
 * Longer than the object stores' own deadlines. A file system has none: a hung mount would hold requests for
 * ever.
 */
const LONGEST_LOOK_MS = 30_000;

/**
 * Asks the storage for a blob's object, without reading it.
 *
 * @throws StorageUnavailableError, StorageError: then nothing is known. A failure never counts as a missing
 * object.
 */
export async function objectStateOf(
  driver: StorageDriver,
  { objectKey, sizeBytes }: BlobRecord,
): Promise<ObjectState> {
  const signal = AbortSignal.timeout(LONGEST_LOOK_MS);
  try {
    const found = await driver.stat(objectKey, { signal });
    return found.sizeBytes === sizeBytes ? 'present' : 'wrong size';
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'missing';
    if (!signal.aborted) throw error;
    const sentence = `the storage did not say within ${LONGEST_LOOK_MS / 1000} s whether an object is there`;
    throw new StorageUnavailableError(sentence, { cause: error });
  }
}
