import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.js';
import type { ObjectKey } from './object-key.js';

/** What JSON can carry: the driver's own state lives in a `jsonb` column of the upload's row. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/**
 * What a driver has to remember of an upload between two requests, two processes or two machines (a path, a
 * multipart id, parts with their ETags …). Opaque to everybody but the driver that made it.
 */
export type DriverUploadState = { [name: string]: JsonValue };

/** One stored object. */
export interface ObjectStat {
  readonly key: ObjectKey;
  /** Length in bytes. */
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** A span of bytes, both ends inclusive and zero based, as in RFC 9110 section 14.1.2. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/**
 * Async I/O can be given up: an aborted signal rejects the pending call with the signal's reason. Whether
 * what was given up has happened or will still happen is then unknown; each call can be repeated.
 *
 * The signal is the call's alone, so a sink outlives the signal of the `openUpload` that made it: the
 * disconnect of a client must not prevent the flush that keeps its bytes. The one exception is the stream of
 * a read, which an abort destroys.
 */
export interface IoOptions {
  readonly signal?: AbortSignal;
}

/** What a driver declares about itself. Constant from its construction on. */
export interface StorageAbilities {
  /** The driver is a {@link RedirectingStorageDriver}. */
  readonly redirects: boolean;
  /** The driver is an {@link OpeningStorageDriver}. */
  readonly opensObjects: boolean;
  /** The driver is an {@link UploadReadingStorageDriver}. */
  readonly readsUploads: boolean;
  /**
   * Writes that a process started may still reach the medium after the process was killed, for example as requests on
   * a network. The next writer of an upload then has to fence it.
   */
  readonly outlivesProcess: boolean;
}

/** An upload as the driver is told of it: its identity, never used twice, and what it last remembered. */
export interface DriverUpload {
  readonly id: string;
  readonly state: DriverUploadState;
}

/** Bytes of an unfinished upload, as the driver finds them on its medium. */
export interface StoredUpload {
  /**
   * What `abortUpload` needs to remove exactly these bytes; the id says whose they are. Its state is none to
   * go on from: every other call refuses it.
   */
  readonly upload: DriverUpload;
  /**
   * When they were last written to or, where the medium doesn't know, when they were begun. An upload that
   * goes on may hold bytes that are old.
   */
  readonly modifiedAt: Date;
}

/**
 * The open end of an upload. One call at a time (but `close`, which may come at any time): a second one is
 * refused, and the sink is then of no more use.
 *
 * One writer at a time: the caller closes the sinks of a state before it opens another one of it, or of a
 * state that a sink answered. A writer that can't be made to let go (its process is stopped, its write hangs)
 * is shut out with `fenceUpload` instead: whatever it still does to its sink changes nothing for the sinks of
 * the new state.
 */
export interface UploadSink {
  /**
   * Takes the bytes of `chunk`. The buffer belongs to the sink until the promise settles, then to the caller
   * again. Settles when the driver wants more: this is the backpressure. What was written is not durable, and
   * not visible to anyone, until `flush`. After a rejection, of `flush` too, only `close` may be called: what
   * was flushed before is safe, and `openUpload` goes on from there.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes every byte written so far durable: it survives the process, and the machine where the driver's
   * medium does (`memory` survives nothing). Answers the state to be recorded with the offset; a state that
   * is not recorded is forgotten, with the bytes written since the last one that was. In a sink that was shut
   * out it may succeed or fail; the caller's fencing sees to it that such an answer is never recorded.
   */
  flush(options?: FlushOptions): Promise<DriverUploadState>;
  /**
   * Says that the state which the last `flush` answered is recorded. A sink that has this may refuse to write
   * more than the driver's `UPLOAD_CHECKPOINT_BYTES` before it is told so.
   */
  recorded?(): void;
  /**
   * The offset, at most `limitBytes` and beyond what was flushed, at which a `flush` is cheapest;
   * `limitBytes` where none is.
   */
  flushOffset?(limitBytes: number): number;
  /**
   * Lets go of handles without making anything durable. Never rejects; calling it twice does nothing. Always
   * due. Where something of this sink, which was never recorded, may still arrive at the medium, it answers a
   * state to be recorded in place of the last one, with the same offset: a writer that goes on by that state
   * doesn't meet it.
   */
  close(): Promise<DriverUploadState | undefined>;
}

export interface FlushOptions {
  /** Whether the caller has no more bytes for this sink: they may well be the upload's last ones. */
  readonly isLast?: boolean;
}

/**
 * Where the bytes of blobs live. One contract for every medium; `test/contract/storage-driver.contract.ts` is
 * its executable form and runs against each driver.
 *
 * Promised:
 * - **Atomic visibility.** An object is visible (`stat`, `read`, `list`) whole or not at all. The bytes of an upload
 *   are not an object before `finishUpload` settles.
 * - **Durability.** What `flush` and `finishUpload` acknowledged is on the medium when their promise settles.
 * - **No copies.** `finishUpload` costs the same for any size. The exception is an upload that was fenced: it may cost a
 *   copy of the bytes before the last fence, and room for them until it is done.
 * - **Keys are never used twice**, and objects never change: the same key always reads the same bytes or is missing.
 * - **A missing object**: `stat` and `read` reject with {@link ObjectNotFoundError}; `delete` and `abortUpload` of
 *   what isn't there succeed.
 * - **Hostile names.** What is no key, key prefix or upload id rejects with {@link InvalidObjectKeyError}, even when a
 *   cast has passed it off as one.
 * - **State and offset belong together.** `openUpload` and `finishUpload` reject with {@link UploadStateError}, and
 *   change nothing, when the size that they are given is not the one at which the state was recorded, or when the
 *   medium holds fewer bytes than that. (Where only a write can tell that, `write` or `flush` rejects instead.)
 * - **Fencing.** Once the answer of `fenceUpload` is recorded, neither a sink that answered the fenced state nor one that
 *   was or will be opened from it changes a byte that was acknowledged, one that is written by the new state, or the
 *   object that is made of them, before its finish or after. States before that one are covered by fences of their own.
 * - Every failure is a {@link StorageError} with its `cause`; an SDK's error never leaves a driver.
 *
 * Undefined, so don't rely on it:
 * - what a reader sees whose object is deleted while it reads: the remaining bytes, or an error. Never other bytes;
 * - whether `list` and `listUploads` show what is made or removed while they run;
 * - two sinks of one upload that write at once with no fence between their states: whose bytes are kept;
 * - whether calls by a state older than the recorded one succeed. `finishUpload` and `abortUpload` by such a state are
 *   the caller's mistake: it records that it finishes, or that the upload is over, before it does either.
 */
export interface StorageDriver {
  /** The driver's name as in `STORAGE_DRIVER`. */
  readonly name: string;
  /** Where the bytes are, for a person to read in the banner. Without credentials. */
  readonly location: string;

  readonly abilities: StorageAbilities;

  /**
   * Returns the identity that was written last, by whichever process, and undefined where the storage has
   * none, also where it has never been prepared or its mount is missing. Changes nothing. Costs one small
   * read.
   *
   * @throws DamagedIdentityError where what is stored in its place isn't an identity.
   */
  readIdentity(options?: IoOptions): Promise<string | undefined>;
  /**
   * Writes the identity, a UUID, durably, in place of another one; creates what that needs. It is no object:
   * `list` doesn't show it. May be called before `prepare`.
   */
  writeIdentity(id: string): Promise<void>;
  /**
   * Whether the storage holds neither objects, as this driver names them, nor bytes of uploads. Changes
   * nothing. May be called before `prepare`.
   */
  isEmpty(): Promise<boolean>;
  /**
   * Called once, at boot, when it is known that the storage belongs to the database: creates what is missing.
   * Rejects with a {@link StorageError} whose message a person can act on.
   */
  prepare(): Promise<void>;
  /** Readiness: settles when bytes could be stored now, rejects with a {@link StorageError} otherwise. */
  check(options?: IoOptions): Promise<void>;

  stat(key: ObjectKey, options?: IoOptions): Promise<ObjectStat>;
  /**
   * Streams an object, or a span of it; a span that doesn't lie within the object rejects. Rejects (rather
   * than failing the stream later) when the object is missing. Destroying the stream frees what it holds, and
   * a caller that doesn't read it to its end must destroy it. A stream never ends before its last byte: it
   * fails.
   */
  read(key: ObjectKey, span: ByteSpan | undefined, options?: IoOptions): Promise<Readable>;
  /** Removes an object. Missing is success. */
  delete(key: ObjectKey, options?: IoOptions): Promise<void>;
  /**
   * Objects whose key starts with `prefix` (`''` is all), in no promised order, without holding them all in
   * memory.
   */
  list(prefix: string, options?: IoOptions): AsyncIterable<ObjectStat>;

  /** Begins an upload. `id` is unique for ever. Answers the first state to record. */
  createUpload(id: string, options?: IoOptions): Promise<DriverUploadState>;
  /**
   * Opens the end of an upload at `offsetBytes`, the durable offset recorded together with `upload.state`.
   * Bytes past it, which nobody acknowledged, are dropped. An upload that was finished has no end to open:
   * the caller that finds a `committing` session finishes it again instead.
   *
   * Given up, it rejects no sooner than nothing of it can happen any more: a caller that lets go after that
   * can be followed by the next writer of the same state. While the medium hangs, so does it, and
   * `fenceUpload` is the way on.
   */
  openUpload(upload: DriverUpload, offsetBytes: number, options?: IoOptions): Promise<UploadSink>;
  /**
   * Shuts out whoever still writes to the upload by `upload.state` or an older one: for the session that is
   * taken from a writer that never let go. Answers the state to be recorded, with the same offset, in place
   * of `upload.state`. Changes nothing on the medium: until the new state is recorded the old one stays good,
   * and an answer that is never recorded costs nothing. Rejects with {@link UploadStateError} when the state
   * was fenced more often than a driver can keep account of (at least 100 times).
   */
  fenceUpload(upload: DriverUpload, options?: IoOptions): Promise<DriverUploadState>;
  /**
   * Returns the key of the object that `finishUpload` makes from the same upload and digest, whether or not the
   * object exists. Does no I/O.
   *
   * @throws InvalidObjectKeyError if the upload's id or the digest can't be part of a key.
   */
  objectKeyOf(upload: DriverUpload, digest: Digest): ObjectKey;
  /**
   * Makes the upload's `sizeBytes` flushed bytes a visible, durable object and answers its key. `digest` is
   * the content's sha256 digest: a driver may use it in the key so that a person can find the blob; no driver
   * verifies it. Idempotent: repeated with the same arguments, by any process, after a crash at any point, or
   * at the same time, it answers the same key. An upload of no bytes can be finished without ever having been
   * opened. What the state has in itself (nothing, or a few kilobytes) can be finished after `abortUpload`,
   * too: whoever records is in the way of that.
   */
  finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options?: IoOptions,
  ): Promise<ObjectKey>;
  /**
   * Forgets an upload that was never finished, and the bytes that its state knows of, those of fenced writers
   * included. Idempotent. Does not touch a finished object. What a fenced writer makes after that is found by
   * `listUploads`.
   */
  abortUpload(upload: DriverUpload, options?: IoOptions): Promise<void>;
  /**
   * What unfinished uploads hold on the medium, also what no recorded state names (left by a crash, or by a
   * writer that was shut out), in no promised order, without holding them all in memory. An upload may be
   * listed several times, once for each part that can be removed by itself, or not at all while it has no
   * bytes. The caller knows which ids are of no live upload, and leaves the others alone.
   */
  listUploads(options?: IoOptions): AsyncIterable<StoredUpload>;
}

/** DI token of the configured {@link StorageDriver}. */
export const STORAGE_DRIVER = Symbol('STORAGE_DRIVER');
