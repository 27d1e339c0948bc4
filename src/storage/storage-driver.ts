import type { Readable } from 'node:stream';
import type { ByteSpan } from '../oci/byte-range.js';
import type { Digest } from '../oci/digest.js';
import type { Claim } from './claim-object.js';
import type { ObjectKey } from './object-key.js';

/** What JSON can hold. The driver's state of an upload is in a `jsonb` column of the upload's row. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/**
 * What a driver stores about an upload between two requests, processes or machines, for example a multipart
 * id and parts with their ETags. Opaque to all code but the driver that made it.
 */
export type DriverUploadState = { [name: string]: JsonValue };

/** A stored object. */
export interface ObjectStat {
  readonly key: ObjectKey;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

export type { ByteSpan };

/**
 * Async I/O can be aborted: the pending call rejects with the signal's reason. Whether an aborted operation
 * has happened or will still happen is unknown. Every call can be repeated.
 *
 * The signal belongs to its call. A sink outlives the signal of the `openUpload` that made it, because the
 * disconnect of a client must not prevent the flush that keeps its bytes. Only the stream of a read is
 * destroyed by an abort.
 */
export interface IoOptions {
  readonly signal?: AbortSignal;
}

/** What a driver declares about itself. Constant. */
export interface StorageAbilities {
  /** The driver is a `RedirectingStorageDriver`. */
  readonly redirects: boolean;
  /** The driver is an `OpeningStorageDriver`. */
  readonly opensObjects: boolean;
  /** The driver is an `UploadReadingStorageDriver`. */
  readonly readsUploads: boolean;
  /** The driver is a `BulkDeletingStorageDriver`. */
  readonly deletesMany: boolean;
  /** The driver is a `StoringStorageDriver`. */
  readonly storesUploads: boolean;
  /**
   * Writes of a killed process may still reach the medium, for example as requests on a network. The next
   * writer of an upload then has to fence it.
   */
  readonly outlivesProcess: boolean;
}

/** An upload as the driver sees it. */
export interface DriverUpload {
  /** Never used twice. */
  readonly id: string;
  /** The state that was recorded last. */
  readonly state: DriverUploadState;
}

/** Bytes of an unfinished upload, as the driver finds them on its medium. */
export interface StoredUpload {
  /**
   * The argument with which `abortUpload` removes exactly these bytes. The id is that of their upload. Every
   * other call refuses this state.
   */
  readonly upload: DriverUpload;
  /**
   * When the bytes were last written, or, if the medium doesn't record that, when their upload started. A
   * live upload may have old bytes.
   */
  readonly modifiedAt: Date;
}

/**
 * The writable end of an upload. One call at a time, except `close`, which may come at any time: a second
 * concurrent call is refused, and the sink is then unusable.
 *
 * One writer at a time: the caller closes the sinks of a state before it opens another sink from it, or from
 * a state that one of them returned. If a writer can't be made to stop (its process is suspended, its write
 * hangs), `fenceUpload` fences it: whatever it still writes changes nothing for the sinks of the new state.
 */
export interface UploadSink {
  /**
   * Writes `chunk`. The sink owns the buffer until the promise settles. It settles when the driver accepts
   * more: this is the backpressure. Written bytes are neither durable nor visible before `flush`. After a
   * rejection, of `flush` too, only `close` may be called: flushed bytes are safe, and the upload resumes
   * with `openUpload`.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes all written bytes durable: they survive the process and, if the driver's medium does, the machine
   * (`memory` survives nothing). Returns the state to record together with the new offset. If the state is
   * not recorded, the bytes since the last recorded one are lost. In a fenced sink it may succeed or fail;
   * the caller's own fencing ensures that the returned state is never recorded.
   */
  flush(options?: FlushOptions): Promise<DriverUploadState>;
  /**
   * Tells the sink that the state which the last `flush` returned is recorded. Until then, a sink with this
   * method may refuse to write more than the driver's `UPLOAD_CHECKPOINT_BYTES`.
   */
  recorded?(): void;
  /**
   * Returns the cheapest offset for a `flush` after the flushed bytes and up to `limitBytes`; `limitBytes` if
   * no offset is cheaper than another.
   */
  flushOffset?(limitBytes: number): number;
  /**
   * Frees the sink's handles without making anything durable. Must always be called. Never rejects.
   * Idempotent.
   *
   * Returns a state if unrecorded writes of this sink may still reach the medium. The caller records it in
   * place of the last one, with the same offset. Writers that resume from it don't collide with those writes.
   */
  close(): Promise<DriverUploadState | undefined>;
}

export interface FlushOptions {
  /** Whether the caller has no more bytes for this sink. They may be the last ones of the upload. */
  readonly isLast?: boolean;
}

/**
 * Where the bytes of blobs are stored. The contract is the same for every medium.
 * `test/contract/storage-driver.contract.ts` is its executable form and runs against each driver.
 *
 * Every driver is wrapped in `CheckedStorageDriver`, which checks keys, ids, digests and signals. A driver
 * passes a signal on where that stops work early, and may ignore it elsewhere.
 *
 *     createUpload ──► openUpload ──► write … flush ──► close     as often as the upload resumes
 *                                                  │
 *                        finishUpload ◄────────────┴──────────► abortUpload
 *                             │
 *                             ▼
 *           stat, read, list, delete: an object that never changes
 *
 * Promised:
 * - **Atomic visibility.** An object is visible (`stat`, `read`, `list`) as a whole or not at all. The bytes
 *   of an upload are not an object before `finishUpload` settles.
 * - **Durability.** What `flush` and `finishUpload` acknowledged is on the medium when their promise settles.
 * - **No copies.** `finishUpload` costs the same for every size. Exception: for an upload that was fenced it
 *   may copy the bytes before the last fence, and need space for them until it is done.
 * - **Keys are never used twice** and objects never change: a key always reads the same bytes, or is missing.
 * - **Missing objects.** `stat` and `read` reject with {@link ObjectNotFoundError}. `delete` and
 *   `abortUpload` succeed.
 * - **Hostile names.** Keys, key prefixes, upload ids and digests that are not valid reject with
 *   {@link InvalidObjectKeyError}, even if a cast made them pass the type checker.
 * - **State and offset belong together.** `openUpload` and `finishUpload` reject with
 *   {@link UploadStateError}, and change nothing, if the size that they get is not the one of the recorded
 *   state, or if the medium holds fewer bytes than that. (If only a write can detect that, `write` or `flush`
 *   rejects instead.)
 * - **Fencing.** Once the state that `fenceUpload` returned is recorded, sinks of the fenced state change
 *   none of these: acknowledged bytes, bytes written from the new state, and the object that is made of them,
 *   before or after it is finished. This covers the sinks that returned the fenced state and all that were or
 *   will be opened from it. States before that one are covered by their own fences.
 * - **Errors.** Every failure is a {@link StorageError} with its `cause`. No SDK error leaves a driver.
 *
 * Undefined, so don't rely on it:
 * - what a reader gets whose object is deleted while it reads: the remaining bytes or an error, but never
 *   other bytes;
 * - whether `list` and `listUploads` include what is created or removed while they run;
 * - which bytes are kept if two sinks of one upload write concurrently without a fence between their states;
 * - whether calls with a state older than the recorded one succeed. The caller must not call `finishUpload`
 *   or `abortUpload` with such a state: it first records that the upload is finishing or over.
 */
export interface StorageDriver {
  /** The value of `STORAGE_DRIVER`. */
  readonly name: string;
  /** Where the bytes are, for people to read in the banner. Without credentials. */
  readonly location: string;
  readonly abilities: StorageAbilities;

  /**
   * Returns how many bytes can still be written; undefined if the storage has no limit that is known. Rejects
   * with any error.
   */
  freeBytes(): Promise<number | undefined>;

  /**
   * Returns the identity that was written last, by any process; undefined if the storage has none, was never
   * prepared, or isn't mounted. Changes nothing. Costs one small read.
   *
   * @throws DamagedIdentityError if the stored content isn't an identity.
   */
  readIdentity(options?: IoOptions): Promise<string | undefined>;
  /**
   * Durably writes or replaces the identity, a UUID, and creates what that needs. The identity is not an
   * object: `list` does not show it. May be called before `prepare`.
   */
  writeIdentity(id: string): Promise<void>;
  /**
   * Returns the claim that was written last, by any process; undefined if the storage has none. Like the
   * identity, it is not an object. Costs one small read.
   *
   * @throws DamagedClaimError if the stored content isn't a claim.
   */
  readClaim(options?: IoOptions): Promise<Claim | undefined>;
  /** Durably writes or replaces the claim. Call it after `prepare`. */
  writeClaim(claim: Claim, options?: IoOptions): Promise<void>;
  /**
   * Returns whether the storage holds neither objects, as this driver names them, nor bytes of uploads.
   * Changes nothing. May be called before `prepare`.
   */
  isEmpty(): Promise<boolean>;
  /**
   * Called once at boot, after the storage is known to belong to the database: creates what is missing.
   * Rejects with a {@link StorageError} whose message says what to do.
   */
  prepare(): Promise<void>;
  /** Readiness: settles if bytes can be stored now, otherwise rejects with a {@link StorageError}. */
  check(options?: IoOptions): Promise<void>;

  stat(key: ObjectKey, options?: IoOptions): Promise<ObjectStat>;
  /**
   * Streams an object, or a span of it. Rejects, instead of failing the stream later, if the object is
   * missing or the span is not within it. The caller reads the stream to its end or destroys it, which frees
   * its handles. A stream that can't deliver its last byte fails; it never ends early.
   */
  read(key: ObjectKey, span: ByteSpan | undefined, options?: IoOptions): Promise<Readable>;
  /** Removes an object. Succeeds if it is missing. */
  delete(key: ObjectKey, options?: IoOptions): Promise<void>;
  /**
   * Lists objects whose key starts with `prefix` (`''` for all), in any order, without holding all in memory.
   */
  list(prefix: string, options?: IoOptions): AsyncIterable<ObjectStat>;

  /** Starts an upload and returns its first state to record. `id` is never used again. */
  createUpload(id: string, options?: IoOptions): Promise<DriverUploadState>;
  /**
   * Opens the end of an upload at `offsetBytes`, the durable offset that was recorded together with
   * `upload.state`. Drops bytes past it; they were never acknowledged. A finished upload has no end to open:
   * if the session is `committing`, the caller finishes it again instead.
   *
   * After an abort it rejects only when it can have no more effect, so that the next writer of the same state
   * can follow the caller that aborted. While the medium hangs, so does this call; the way out is
   * `fenceUpload`.
   */
  openUpload(upload: DriverUpload, offsetBytes: number, options?: IoOptions): Promise<UploadSink>;
  /**
   * Fences all writers of `upload.state` and of older states, before a session is taken over from a writer
   * that did not stop. Returns the state to record in place of `upload.state`, with the same offset. Changes
   * nothing on the medium: the old state stays valid until the new one is recorded, and a returned state that
   * is never recorded costs nothing.
   *
   * @throws UploadStateError if the upload was fenced more often than the driver can track (at least 100
   * times).
   */
  fenceUpload(upload: DriverUpload, options?: IoOptions): Promise<DriverUploadState>;
  /**
   * Returns the key of the object that `finishUpload` makes from the same upload and digest, whether or not
   * the object exists. Does no I/O.
   *
   * @throws InvalidObjectKeyError if the upload's id or the digest can't be part of a key.
   */
  objectKeyOf(upload: DriverUpload, digest: Digest): ObjectKey;
  /**
   * Makes the upload's `sizeBytes` flushed bytes a visible, durable object and returns its key. `digest` is
   * the sha256 digest of the content. A driver may use it in the key, so that people can find the blob; no
   * driver verifies it.
   *
   * Idempotent: with the same arguments it returns the same key, also in another process, after a crash at
   * any point, and concurrently. An empty upload can be finished without having been opened. An upload whose
   * bytes are all in its state (at most a few kilobytes) can be finished even after `abortUpload`; the caller
   * prevents this by recording first that the upload is over.
   */
  finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options?: IoOptions,
  ): Promise<ObjectKey>;
  /**
   * Removes an upload that was never finished, and all bytes that its state knows of, those of fenced writers
   * included. Idempotent. Does not change a finished object. `listUploads` finds what a fenced writer creates
   * later.
   */
  abortUpload(upload: DriverUpload, options?: IoOptions): Promise<void>;
  /**
   * Lists what unfinished uploads hold on the medium, in any order, without holding all in memory. This
   * includes bytes that no recorded state names, left by a crash or a fenced writer. An upload may be listed
   * several times, once for each part that can be removed separately, or not at all while it has no bytes.
   * The caller knows which uploads are live and leaves them alone.
   */
  listUploads(options?: IoOptions): AsyncIterable<StoredUpload>;
}

/** DI token of the configured {@link StorageDriver}. */
export const STORAGE_DRIVER = Symbol('STORAGE_DRIVER');
