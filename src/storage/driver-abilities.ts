import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.js';
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

/** The longest content that `storeUpload` takes. */
export const MAX_STORED_UPLOAD_BYTES = 64 * 1024;

/** Small content can be stored in one call, with fewer flushes than an upload needs. */
export interface StoringStorageDriver extends StorageDriver {
  /**
   * Makes `bytes`, the whole content of an upload that has no recorded bytes, a visible, durable object and
   * returns its key: the one of `objectKeyOf`. As `openUpload` at offset 0, `write`, `flush` and
   * `finishUpload` would, but the upload's sinks, files and other calls are neither used nor changed. So
   * concurrent calls don't disturb each other, nor a writer that was fenced or should have been.
   *
   * Idempotent: it may be repeated after an error or a crash at any point, and when the object exists. After
   * an error the object is missing or whole. After an abort it rejects only when it can have no more effect.
   *
   * What earlier sinks wrote without a recorded offset stays, until `abortUpload` removes it. So does what a
   * crash during this call leaves, which `listUploads` finds.
   *
   * @param digest the sha256 digest of `bytes`. No driver verifies it.
   * @param bytes at most {@link MAX_STORED_UPLOAD_BYTES}. The driver owns the buffer until the call settles.
   * @throws UploadStateError if the state has bytes; StorageError
   */
  storeUpload(
    upload: DriverUpload,
    digest: Digest,
    bytes: Uint8Array,
    options?: IoOptions,
  ): Promise<ObjectKey>;
}

export function canStore(driver: StorageDriver): driver is StoringStorageDriver {
  return driver.abilities.storesUploads;
}
