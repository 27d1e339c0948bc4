import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Digest } from '../../oci/digest.js';
import { attempt } from '../attempt.js';
import { type Claim, CLAIM } from '../claim-object.js';
import type { BulkDeletingStorageDriver, DeletionFailures } from '../driver-abilities.js';
import { IDENTITY } from '../identity-object.js';
import { type ObjectKey, parseObjectKey } from '../object-key.js';
import type { OwnObject } from '../own-object.js';
import type {
  ByteSpan,
  DriverUpload,
  DriverUploadState,
  IoOptions,
  ObjectStat,
  StorageAbilities,
  StoredUpload,
  UploadSink,
} from '../storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../storage.errors.js';
import { untilAborted } from '../reading.js';
import {
  idOfObject,
  isReserved,
  isSuffix,
  objectKeyOf,
  OBJECTS,
  parsePieceName,
  pieceName,
  PIECES,
} from './names.js';
import type { ObjectStore, StoredObject } from './object-store.js';
import { ObjectUploadSink } from './object-upload-sink.js';
import { readResuming } from './resuming-read.js';
import { SignedUrls } from './signed-urls.js';
import { UploadFinisher } from './upload-finisher.js';
import { fencedLayout, newLayout } from './upload-layout.js';
import { parseState, parseStateAt, toState } from './upload-state.js';

export interface ObjectStorageOptions {
  /** Size of the parts of a new upload. `part-sizes.ts` raises it for large uploads. */
  readonly partBytes: number;
  /** A tail of up to this size stays in the upload's row. */
  readonly inlineBytes?: number;
  /** Whether clients may be redirected to the store. */
  readonly redirect: boolean;
}

/** Enough for the config of an image, and small enough for a row. */
const INLINE_BYTES = 64 * 1024;

/**
 * Stores blobs in an object store: uploads as parts, finished without a copy. The vendors' requests are in
 * their {@link ObjectStore}s.
 */
export class ObjectStorageDriver implements BulkDeletingStorageDriver {
  readonly name: string;
  readonly location: string;
  readonly abilities: StorageAbilities;
  /** Set if the store can sign URLs and the operator wants redirects. */
  readonly redirectUrl?: (key: ObjectKey) => Promise<URL>;
  private readonly finisher: UploadFinisher;

  constructor(
    private readonly store: ObjectStore,
    private readonly options: ObjectStorageOptions,
  ) {
    this.name = store.name;
    this.location = store.location;
    this.finisher = new UploadFinisher(store);
    const sign = options.redirect ? store.signedUrl?.bind(store) : undefined;
    this.abilities = {
      redirects: sign !== undefined,
      opensObjects: false,
      readsUploads: false,
      deletesMany: true,
      storesUploads: false,
      outlivesProcess: true,
    };
    if (sign !== undefined) {
      const urls = new SignedUrls(sign);
      this.redirectUrl = (key) => urls.of(key);
    }
  }

  /** Buckets have no limit that their API tells. */
  freeBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  readIdentity(options: IoOptions = {}): Promise<string | undefined> {
    return this.readOwn(IDENTITY, options);
  }

  writeIdentity(id: string): Promise<void> {
    return this.writeOwn(IDENTITY, id, {});
  }

  readClaim(options: IoOptions = {}): Promise<Claim | undefined> {
    return this.readOwn(CLAIM, options);
  }

  writeClaim(claim: Claim, options: IoOptions = {}): Promise<void> {
    return this.writeOwn(CLAIM, claim, options);
  }

  async isEmpty(): Promise<boolean> {
    for await (const _ of this.store.list(OBJECTS, {})) return false;
    for await (const _ of this.listUploads()) return false;
    return true;
  }

  prepare(): Promise<void> {
    return this.store.prepare();
  }

  check(options: IoOptions = {}): Promise<void> {
    return this.store.check(options);
  }

  async stat(key: ObjectKey, options: IoOptions = {}): Promise<ObjectStat> {
    const found = isReserved(key) ? undefined : await this.store.head(key, options);
    if (found === undefined) throw new ObjectNotFoundError(key);
    return statOf(found, key);
  }

  async read(key: ObjectKey, span: ByteSpan | undefined, options: IoOptions = {}): Promise<Readable> {
    if (isReserved(key)) throw new ObjectNotFoundError(key);
    if (span === undefined) {
      const { sizeBytes } = await this.stat(key, options);
      return sizeBytes === 0 ? Readable.from([]) : this.read(key, { start: 0, end: sizeBytes - 1 }, options);
    }
    if (!(span.start >= 0 && span.start <= span.end)) {
      throw new StorageError(`bytes ${span.start}-${span.end} are not a valid span`);
    }
    return readResuming(this.store, key, span, options);
  }

  async delete(key: ObjectKey, options: IoOptions = {}): Promise<void> {
    if (!isReserved(key)) await this.store.delete([key], options);
  }

  async deleteMany(keys: readonly ObjectKey[], options: IoOptions = {}): Promise<DeletionFailures> {
    const names = keys.filter((key) => !isReserved(key));
    // The names are the keys.
    return (await this.store.deleteMany(names, options)) as DeletionFailures;
  }

  async *list(prefix: string, options: IoOptions = {}): AsyncGenerator<ObjectStat, void> {
    for await (const found of this.store.list(prefix, options)) {
      const key = keyOf(found.name);
      if (key !== undefined) yield statOf(found, key);
    }
  }

  createUpload(id: string): Promise<DriverUploadState> {
    return attempt(() => toState(newLayout(id, this.options.partBytes)));
  }

  /**
   * Changes nothing, because bytes beyond the offset are in unrecorded parts. Notices a missing tail. Missing
   * parts are noticed by the finish.
   */
  async openUpload(upload: DriverUpload, offsetBytes: number, options: IoOptions = {}): Promise<UploadSink> {
    const layout = parseStateAt(upload, offsetBytes);
    const piece = layout.pieces.at(-1);
    if (piece !== undefined) {
      const found = await this.store.head(pieceName(layout.id, piece.suffix), options);
      if (found?.sizeBytes !== piece.sizeBytes) {
        throw new UploadStateError(`durable bytes of upload ${layout.id} are missing`);
      }
    }
    return new ObjectUploadSink(this.store, layout, this.options.inlineBytes ?? INLINE_BYTES);
  }

  fenceUpload(upload: DriverUpload): Promise<DriverUploadState> {
    return attempt(() => toState(fencedLayout(parseState(upload), this.store.maxPartNumber)));
  }

  /** The digest is not part of the key, because the object is named before its digest is known. */
  objectKeyOf({ id }: DriverUpload): ObjectKey {
    return objectKeyOf(id);
  }

  async finishUpload(
    upload: DriverUpload,
    _digest: Digest,
    sizeBytes: number,
    options: IoOptions = {},
  ): Promise<ObjectKey> {
    const key = this.objectKeyOf(upload);
    await this.finisher.finish(upload, key, sizeBytes, options);
    return key;
  }

  async abortUpload(upload: DriverUpload, options: IoOptions = {}): Promise<void> {
    const { id } = upload;
    const { piece, multipart } = listedOf(upload);
    if (piece !== undefined) return this.store.delete([pieceName(id, piece)], options);
    if (multipart !== undefined) {
      return this.store.abortMultipart({ name: objectKeyOf(id), id: multipart }, [], options);
    }
    await this.finisher.abort(parseState(upload), options);
  }

  private async readOwn<T>(own: OwnObject<T>, options: IoOptions): Promise<T | undefined> {
    try {
      const span = { start: 0, end: own.sizeBytes - 1 };
      const stream = await readResuming(this.store, own.name, span, options);
      return own.parse(await buffer(untilAborted(stream, options)), this.location);
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined;
      if (!(error instanceof StorageError)) throw error;
      // Stores refuse in different ways to read more bytes than an object has, so look at its size.
      const found = await this.store.head(own.name, options).catch(() => undefined);
      const isTruncated = found !== undefined && found.sizeBytes < own.sizeBytes;
      throw isTruncated ? own.damaged(this.location, error) : error;
    }
  }

  private async writeOwn<T>(own: OwnObject<T>, value: T, options: IoOptions): Promise<void> {
    const bytes = own.toBytes(value);
    const md5 = createHash('md5').update(bytes).digest('base64');
    await this.store.put(own.name, { bytes, md5 }, options);
  }

  async *listUploads(options: IoOptions = {}): AsyncGenerator<StoredUpload, void> {
    for await (const found of this.store.listMultiparts(OBJECTS, options)) {
      const id = idOfObject(found.name);
      if (id === undefined) continue;
      yield { upload: { id, state: { listed: { multipart: found.id } } }, modifiedAt: found.startedAt };
    }
    for await (const found of this.store.list(PIECES, options)) {
      const piece = parsePieceName(found.name);
      if (piece === undefined) continue;
      const state = { listed: { piece: piece.suffix } };
      yield { upload: { id: piece.id, state }, modifiedAt: found.modifiedAt };
    }
  }
}

/** Reads the state that `listUploads` returned. @throws UploadStateError */
function listedOf({ id, state: { listed } }: DriverUpload): { piece?: string; multipart?: string } {
  if (listed === undefined) return {};
  if (typeof listed === 'object' && listed !== null && !Array.isArray(listed)) {
    const { piece, multipart } = listed;
    if (isSuffix(piece)) return { piece };
    if (typeof multipart === 'string') return { multipart };
  }
  throw new UploadStateError(`the state of upload ${id} was not listed by this driver`);
}

function keyOf(name: string): ObjectKey | undefined {
  try {
    return isReserved(name) ? undefined : parseObjectKey(name);
  } catch {
    // Not Berth's.
    return undefined;
  }
}

function statOf({ sizeBytes, modifiedAt }: StoredObject, key: ObjectKey): ObjectStat {
  return { key, sizeBytes, modifiedAt };
}
