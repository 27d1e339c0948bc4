import type { Readable } from 'node:stream';
import type { ObjectKey } from './object-key.js';
import type { DriverUpload, IoOptions, StorageDriver } from './storage-driver.js';
import type { StorageError } from './storage.errors.js';

/*
 * The optional abilities of drivers, one interface and one type guard each. A driver declares in `abilities`
 * which of them it has; the guards go by that declaration.
 */

/** Clients can fetch objects from the storage itself, without Berth in between. */
export interface RedirectingStorageDriver extends StorageDriver {
  /**
   * Returns a short-lived URL that serves the object's bytes, ranges included, to anyone who has it. The URL
   * is a credential: it must not reach a log, nor a cache that outlives it.
   */
  redirectUrl(key: ObjectKey, options?: IoOptions): Promise<URL>;
}

export function canRedirect(driver: StorageDriver): driver is RedirectingStorageDriver {
  return driver.abilities.redirects;
}

/** An object that is held open. */
export interface OpenObject {
  readonly sizeBytes: number;
  /**
   * Fills all of `buffer` with the bytes from `positionBytes` on. They must lie within the object.
   *
   * @throws StorageError; also if the object has become shorter.
   */
  read(buffer: Uint8Array, positionBytes: number): Promise<void>;
  /** Closes the object after a `read` in progress. Never rejects. Call it once. */
  close(): Promise<void>;
}

/**
 * Objects can be read into buffers of the caller, which reuses them. A stream needs a new buffer per chunk,
 * because it can't know when its reader has finished with one. On a file system the new buffers cost more
 * than reading: without them the GET of a large blob is four times as fast (measured).
 */
export interface OpeningStorageDriver extends StorageDriver {
  /** @throws ObjectNotFoundError, StorageError */
  openObject(key: ObjectKey, options?: IoOptions): Promise<OpenObject>;
}

export function canOpen(driver: StorageDriver): driver is OpeningStorageDriver {
  return driver.abilities.opensObjects;
}

/**
 * The bytes of an unfinished upload can be read back. With other drivers, every digest that a client may ask
 * for has to be computed while the bytes arrive.
 */
export interface UploadReadingStorageDriver extends StorageDriver {
  /** Streams the first `sizeBytes` flushed bytes of an upload that is not finished. */
  readUpload(upload: DriverUpload, sizeBytes: number, options?: IoOptions): Promise<Readable>;
}

export function canReadUploads(driver: StorageDriver): driver is UploadReadingStorageDriver {
  return driver.abilities.readsUploads;
}

/** The objects that could not be deleted, and why. */
export type DeletionFailures = ReadonlyMap<ObjectKey, StorageError>;

/** Many objects can be deleted with fewer requests, or fewer flushes, than one by one. */
export interface BulkDeletingStorageDriver extends StorageDriver {
  /**
   * Removes objects, up to a few hundred at a time. Those without a failure are gone, or were missing; on a
   * file system this is durable, unlike after `delete`. Idempotent.
   *
   * Rejects with a {@link StorageError} if the storage can't be reached or refuses the whole request. Then
   * any of the objects may be gone.
   */
  deleteMany(keys: readonly ObjectKey[], options?: IoOptions): Promise<DeletionFailures>;
}

export function canDeleteMany(driver: StorageDriver): driver is BulkDeletingStorageDriver {
  return driver.abilities.deletesMany;
}
