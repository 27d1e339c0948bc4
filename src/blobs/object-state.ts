import type { StorageDriver } from '../storage/storage-driver.js';
import { ObjectNotFoundError, StorageUnavailableError } from '../storage/storage.errors.js';
import type { BlobRecord } from './blob.store.js';

/** The state of a blob's object in the storage. */
export type ObjectState = 'present' | 'missing' | 'wrong size';

/** Longer than the timeouts of object stores. Needed for file systems, where a hung mount never responds. */
const TIMEOUT_MS = 30_000;

/**
 * Checks the size of a blob's object, without reading it.
 *
 * @throws StorageUnavailableError, StorageError if the check fails. A failure never counts as a missing
 * object.
 */
export async function objectStateOf(
  driver: StorageDriver,
  { objectKey, sizeBytes }: BlobRecord,
): Promise<ObjectState> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const found = await driver.stat(objectKey, { signal });
    return found.sizeBytes === sizeBytes ? 'present' : 'wrong size';
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'missing';
    if (!signal.aborted) throw error;
    const message = `the storage did not respond within ${TIMEOUT_MS / 1000} s`;
    throw new StorageUnavailableError(message, { cause: error });
  }
}
