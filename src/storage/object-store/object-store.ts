import type { Readable } from 'node:stream';
import type { ByteSpan, IoOptions } from '../storage-driver.js';

/** Bytes on their way to the store, with what it needs to notice that they changed underway. */
export interface Body {
  /** The store's until the call settles. */
  readonly bytes: Buffer;
  /** MD5 of `bytes`, base64: a checksum of the way, not of the content. */
  readonly md5: string;
}

/** An object as the store tells of it. */
export interface StoredObject {
  /** Its name as the engine gave it, without the operator's prefix. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Cut down to whole seconds, as not every request of every store tells more. */
  readonly modifiedAt: Date;
}

/** An object that is made out of parts. */
export interface Multipart {
  /** Of the object that it will be. */
  readonly name: string;
  /** What the store calls it; `''` where the name says all. */
  readonly id: string;
}

/** A part that the store has acknowledged. */
export interface Part {
  readonly number: number;
  /** What the store answered: the object is made of the parts that have these tags, and of no others. */
  readonly tag: string;
}

/** A multipart that the store tells of. */
export interface StoredMultipart extends Multipart {
  readonly startedAt: Date;
}

/**
 * What Berth asks of an object store: the requests that S3, Azure Blob and Google Cloud Storage have in common.
 * `ObjectStorageDriver` makes a storage driver of it. Names are relative to the operator's prefix, segments of
 * `[A-Za-z0-9._~-]` joined by `/`, at most 1024 bytes; the prefix comes on top.
 *
 * Promised by each:
 * - What settles is durable, and seen by whoever asks after that.
 * - What may pass (throttling, 5XX, resets, time-outs) is tried again, with jitter and within a deadline; then it
 *   rejects with `StorageUnavailableError`. Every other failure is a `StorageError` with its `cause`. An aborted signal
 *   rejects with the signal's reason.
 * - Bytes that were changed underway are refused where the store can tell by their checksum.
 * - No credential is in an error's message.
 */
export interface ObjectStore {
  /** As in `STORAGE_DRIVER`. */
  readonly name: string;
  /** For a person to read in the banner. Without credentials. */
  readonly location: string;
  /** The highest number that a part can have; the first one is 1. */
  readonly maxPartNumber: number;
  /**
   * Whether an object can be made of some parts of its multipart while others are left out. S3 can; Ceph refuses it. May
   * be told only after `prepare`.
   */
  readonly leavesPartsOut: boolean;
  /** Where parts are objects: `uploads/<upload id>~<suffix>` is a part of the upload's object whose tag is the suffix, whoever put it. */
  readonly piecesAreParts?: boolean;

  /** Once, at boot. Rejects with a `StorageError` whose message tells a person what is wrong with the bucket and what to do. */
  prepare(): Promise<void>;
  /** Whether the bucket could be written to now. Leaves no trace. */
  check(options: IoOptions): Promise<void>;

  /** Nothing where there is none, also where the name is longer than the store's can be. */
  head(name: string, options: IoOptions): Promise<StoredObject | undefined>;
  /**
   * One request; the stream may break. Rejects with `ObjectNotFoundError`, and with a `StorageError` where the span does
   * not lie within the object. The signal governs the request, not the stream.
   */
  get(name: string, span: ByteSpan, options: IoOptions): Promise<Readable>;
  /** An object in one request, in place of one that there may be. */
  put(name: string, body: Body, options: IoOptions): Promise<void>;
  /** Missing is success. */
  delete(names: readonly string[], options: IoOptions): Promise<void>;
  /** Those whose name begins with `prefix`, page by page. */
  list(prefix: string, options: IoOptions): AsyncIterable<StoredObject>;

  /** Nothing that anybody sees. */
  beginMultipart(name: string, options: IoOptions): Promise<Multipart>;
  /** Rejects with `UploadStateError` where the store knows no such multipart. Two parts of one number: one of them wins. */
  putPart(multipart: Multipart, number: number, body: Body, options: IoOptions): Promise<Part>;
  /**
   * Makes the object of exactly these parts, without moving their bytes. Rejects with `UploadStateError` where the store
   * no longer has one of them, or the multipart; having made the object already may be such a case.
   */
  completeMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void>;
  /** Removes the parts, of which these are known, unless the object was made of them. Missing is success. */
  abortMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void>;
  /** Multiparts of names that begin with `prefix`, which nobody has completed; none where the store removes them by itself. */
  listMultiparts(prefix: string, options: IoOptions): AsyncIterable<StoredMultipart>;

  /**
   * A URL that serves the object's bytes as `application/octet-stream` to whoever has it, for `expirySeconds`. Missing
   * where the store, or the credential that Berth has, can't make one.
   */
  signedUrl?(name: string, expirySeconds: number): Promise<URL>;
}
