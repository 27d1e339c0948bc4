import type { ObjectKey } from './object-key.js';
import type { IoOptions, StorageDriver } from './storage-driver.js';

/** An object held open. */
export interface OpenObject {
  readonly sizeBytes: number;
  /**
   * Fills `buffer` with the bytes from `positionBytes` on, all of it, which must lie within the object.
   *
   * @throws StorageError; also where the object has become shorter.
   */
  read(buffer: Uint8Array, positionBytes: number): Promise<void>;
  /** Lets go, once a `read` that is under way is done. Never rejects; to be called once. */
  close(): Promise<void>;
}

/**
 * An ability that a driver may have beside the contract: its objects can be read into buffers of the reader's, which uses
 * them again. A stream has to make a new one for each chunk, since nobody knows when its reader is done with it; on a file
 * system that costs more than reading (measured: a large blob's GET is four times as fast without).
 */
export interface OpeningStorageDriver extends StorageDriver {
  /** @throws ObjectNotFoundError, StorageError */
  openObject(key: ObjectKey, options?: IoOptions): Promise<OpenObject>;
}

export function canOpen(driver: StorageDriver): driver is OpeningStorageDriver {
  return 'openObject' in driver && typeof driver.openObject === 'function';
}
