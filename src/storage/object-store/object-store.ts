import type { Readable } from 'node:stream';
import type { ByteSpan, IoOptions } from '../storage-driver.js';
import type { StorageError } from '../storage.errors.js';

/** Bytes to store, with a checksum by which the store detects corruption in transit. */
export interface Body {
  /** Must not change until the call settles. */
  readonly bytes: Buffer;
  /** MD5 of `bytes` in base64. */
  readonly md5: string;
}

export interface StoredObject {
  /** Without the operator's prefix. */
  readonly name: string;
  readonly sizeBytes: number;
  /** In whole seconds, the precision that every request of every store has. */
  readonly modifiedAt: Date;
}

/** A multipart upload: an object that is made of parts. */
export interface Multipart {
  /** Name of the object. */
  readonly name: string;
  /** The store's id; `''` if the name is enough. */
  readonly id: string;
}

/** The objects that could not be deleted, by name, and why. */
export type RefusedDeletions = ReadonlyMap<string, StorageError>;

/** A part that the store has acknowledged. */
export interface Part {
  readonly number: number;
  /** The store's tag of the part's content. An object is completed from parts with exactly these tags. */
  readonly tag: string;
}

export interface StoredMultipart extends Multipart {
  readonly startedAt: Date;
}

/**
 * The requests that S3, Azure Blob and Google Cloud Storage have in common. `ObjectStorageDriver` makes a
 * storage driver of them. Names are relative to the operator's prefix: segments of `[A-Za-z0-9._~-]` joined
 * by `/`, at most 1024 bytes.
 *
 * Each store promises:
 * - When a call settles, its effect is durable, and visible to every request after it.
 * - Temporary failures (throttling, 5XX, resets, timeouts) are retried with jitter and a deadline. Then the
 *   call rejects with `StorageUnavailableError`. Every other failure is a `StorageError` with its `cause`. If
 *   the signal aborts, the call rejects with its reason.
 * - Bytes that were corrupted in transit are refused, if the store checks their checksum.
 * - No error message contains a credential.
 */
export interface ObjectStore {
  /** As in `STORAGE_DRIVER`. */
  readonly name: string;
  /** For the banner. Without credentials. */
  readonly location: string;
  /** The highest part number. The first one is 1. */
  readonly maxPartNumber: number;
  /**
   * Whether a completion may omit parts of its multipart upload. S3 allows it, Ceph refuses. Known after
   * `prepare`.
   */
  readonly leavesPartsOut: boolean;
  /**
   * Parts are objects: the piece `uploads/<upload id>~<suffix>` is also a part, with the suffix as its tag.
   */
  readonly piecesAreParts?: boolean;

  /**
   * Called once, at the start. Rejects with a `StorageError` that says what is wrong with the bucket and what
   * to do.
   */
  prepare(): Promise<void>;
  /** Checks whether the bucket is writable now. Leaves nothing in it. */
  check(options: IoOptions): Promise<void>;

  /** Returns undefined if there is no such object, or if its name is too long for the store. */
  head(name: string, options: IoOptions): Promise<StoredObject | undefined>;
  /**
   * Sends one request. The stream may break, end early or stall; `readResuming` resumes it. Rejects with
   * `ObjectNotFoundError`, or with a `StorageError` if the span does not lie within the object. The signal
   * governs the request, not the stream.
   */
  get(name: string, span: ByteSpan, options: IoOptions): Promise<Readable>;
  /** Writes an object with one request, and replaces an existing one. */
  put(name: string, body: Body, options: IoOptions): Promise<void>;
  /** Rejects if one of them could not be deleted. Idempotent. */
  delete(names: readonly string[], options: IoOptions): Promise<void>;
  /**
   * The same, but goes on if the store refuses to delete some of them, and returns why. Rejects if the store
   * can't be reached, or refuses the whole request. Idempotent.
   */
  deleteMany(names: readonly string[], options: IoOptions): Promise<RefusedDeletions>;
  /** Lists objects whose name begins with `prefix`, page by page. */
  list(prefix: string, options: IoOptions): AsyncIterable<StoredObject>;

  /** Has no visible effect. */
  beginMultipart(name: string, options: IoOptions): Promise<Multipart>;
  /**
   * Rejects with `UploadStateError` if there is no such multipart. A second part with the same number
   * replaces the first.
   */
  putPart(multipart: Multipart, number: number, body: Body, options: IoOptions): Promise<Part>;
  /**
   * Makes the object of exactly these parts, without transferring their bytes. Rejects with
   * `UploadStateError` if a part or the multipart is missing, which is possible after an earlier completion.
   */
  completeMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void>;
  /** Deletes the parts (these are known), unless the object was made of them. Idempotent. */
  abortMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void>;
  /** Lists multiparts in progress whose name begins with `prefix`. Empty if the store removes them itself. */
  listMultiparts(prefix: string, options: IoOptions): AsyncIterable<StoredMultipart>;

  /**
   * Returns a URL that serves the object as `application/octet-stream` to any client, for `expirySeconds`.
   * Missing if the store, or Berth's credential, can't sign URLs.
   */
  signedUrl?(name: string, expirySeconds: number): Promise<URL>;
}
