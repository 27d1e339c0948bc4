import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Digest } from '../../oci/digest.js';
import { abortable } from '../abortable.js';
import {
  damagedIdentity,
  IDENTITY_BYTES,
  IDENTITY_NAME,
  identityBytes,
  parseIdentity,
} from '../identity-object.js';
import {
  blobObjectKey,
  type ObjectKey,
  parseKeyPrefix,
  parseKeySegment,
  parseObjectKey,
} from '../object-key.js';
import type {
  ByteSpan,
  DriverUpload,
  DriverUploadState,
  IoOptions,
  ObjectStat,
  StorageAbilities,
  StorageDriver,
  StoredUpload,
  UploadSink,
} from '../storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../storage.errors.js';
import { untilAborted } from '../reading.js';
import { idOfObject, isReserved, objectKeyOf, OBJECTS, parsePieceName, pieceName, PIECES } from './names.js';
import type { ObjectStore, StoredObject } from './object-store.js';
import { ObjectUploadSink } from './object-upload-sink.js';
import { readResuming } from './resuming-read.js';
import { SignedUrls } from './signed-urls.js';
import { UploadFinisher } from './upload-finisher.js';
import { isSuffix, UploadLayout } from './upload-layout.js';

export interface ObjectStorageOptions {
  /** Size of the parts of a new upload; `part-sizes.ts` raises it for the largest ones. */
  readonly partBytes: number;
  /** A tail of at most so many bytes stays in the upload's row. */
  readonly inlineBytes?: number;
  /** Whether clients may be sent to the store for their blobs. */
  readonly redirect: boolean;
}

/** Enough for a config or a manifest-like blob, and little enough for a row. */
const INLINE_BYTES = 64 * 1024;

/**
 * Blobs in an object store. What all stores have in common is here: how an upload becomes parts, where its tail lies, how
 * it is finished without being copied. What a vendor's requests look like is in the folder of its {@link ObjectStore}.
 */
export class ObjectStorageDriver implements StorageDriver {
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
      outlivesProcess: true,
    };
    if (sign !== undefined) {
      const urls = new SignedUrls(sign);
      this.redirectUrl = (key) => urls.of(parseObjectKey(key));
    }
  }

  readIdentity(options: IoOptions = {}): Promise<string | undefined> {
    return abortable(options, async () => {
      try {
        const span = { start: 0, end: IDENTITY_BYTES - 1 };
        const stream = await readResuming(this.store, IDENTITY_NAME, span, options);
        return parseIdentity(await buffer(untilAborted(stream, options)), this.location);
      } catch (error) {
        if (error instanceof ObjectNotFoundError) return undefined;
        throw await this.identityFailure(error, options);
      }
    });
  }

  /** A store refuses to read more bytes than an object has, each with an error of its own. */
  private async identityFailure(error: unknown, options: IoOptions): Promise<unknown> {
    if (!(error instanceof StorageError)) return error;
    const found = await this.store.head(IDENTITY_NAME, options).catch(() => undefined);
    const isCut = found !== undefined && found.sizeBytes < IDENTITY_BYTES;
    return isCut ? damagedIdentity(this.location, error) : error;
  }

  async writeIdentity(id: string): Promise<void> {
    const bytes = identityBytes(id);
    const md5 = createHash('md5').update(bytes).digest('base64');
    await this.store.put(IDENTITY_NAME, { bytes, md5 }, {});
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
    return abortable(options, () => this.store.check(options));
  }

  async stat(key: ObjectKey, options: IoOptions = {}): Promise<ObjectStat> {
    return abortable(options, async () => {
      const name = parseObjectKey(key);
      const found = isReserved(name) ? undefined : await this.store.head(name, options);
      if (found === undefined) throw new ObjectNotFoundError(key);
      return statOf(found, key);
    });
  }

  async read(key: ObjectKey, span: ByteSpan | undefined, options: IoOptions = {}): Promise<Readable> {
    const stream = await abortable(options, () => this.open(key, span, options), destroyLate);
    return untilAborted(stream, options);
  }

  delete(key: ObjectKey, options: IoOptions = {}): Promise<void> {
    return abortable(options, async () => {
      const name = parseObjectKey(key);
      if (!isReserved(name)) await this.store.delete([name], options);
    });
  }

  async *list(prefix: string, options: IoOptions = {}): AsyncGenerator<ObjectStat, void> {
    options.signal?.throwIfAborted();
    for await (const found of this.store.list(parseKeyPrefix(prefix), options)) {
      options.signal?.throwIfAborted();
      const key = keyOf(found.name);
      if (key !== undefined) yield statOf(found, key);
    }
  }

  createUpload(id: string, options: IoOptions = {}): Promise<DriverUploadState> {
    return attempt(options, () => UploadLayout.first(id, this.options.partBytes).toState());
  }

  /**
   * Touches nothing: bytes past the offset are in parts that nobody recorded. Of what is gone only the tail is noticed here, the
   * parts when they are needed.
   */
  openUpload(upload: DriverUpload, offsetBytes: number, options: IoOptions = {}): Promise<UploadSink> {
    return abortable(options, async () => {
      const layout = UploadLayout.recordedAt(upload, offsetBytes);
      const piece = layout.pieces.at(-1);
      if (piece !== undefined) {
        const found = await this.store.head(pieceName(layout.id, piece.suffix), options);
        if (found?.sizeBytes !== piece.sizeBytes) {
          throw new UploadStateError(`upload ${layout.id} lacks bytes that were made durable`);
        }
      }
      return new ObjectUploadSink(this.store, layout, this.options.inlineBytes ?? INLINE_BYTES);
    });
  }

  fenceUpload(upload: DriverUpload, options: IoOptions = {}): Promise<DriverUploadState> {
    return attempt(options, () => UploadLayout.recorded(upload).fenced(this.store.maxPartNumber).toState());
  }

  /** The object was named before its digest was known, so the digest is checked but not part of the key. */
  objectKeyOf({ id }: DriverUpload, digest: Digest): ObjectKey {
    blobObjectKey(digest, id);
    return objectKeyOf(id);
  }

  finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options: IoOptions = {},
  ): Promise<ObjectKey> {
    return abortable(options, async () => {
      const key = this.objectKeyOf(upload, digest);
      await this.finisher.finish(upload, key, sizeBytes, options);
      return key;
    });
  }

  abortUpload(upload: DriverUpload, options: IoOptions = {}): Promise<void> {
    return abortable(options, async () => {
      const id = parseKeySegment(upload.id);
      const { piece, multipart } = listedOf(upload);
      if (piece !== undefined) return this.store.delete([pieceName(id, piece)], options);
      if (multipart !== undefined) {
        return this.store.abortMultipart({ name: objectKeyOf(id), id: multipart }, [], options);
      }
      await this.finisher.forget(UploadLayout.recorded(upload), options);
    });
  }

  async *listUploads(options: IoOptions = {}): AsyncGenerator<StoredUpload, void> {
    options.signal?.throwIfAborted();
    for await (const found of this.store.listMultiparts(OBJECTS, options)) {
      options.signal?.throwIfAborted();
      const id = idOfObject(found.name);
      if (id === undefined) continue;
      yield { upload: { id, state: { listed: { multipart: found.id } } }, modifiedAt: found.startedAt };
    }
    for await (const found of this.store.list(PIECES, options)) {
      options.signal?.throwIfAborted();
      const piece = parsePieceName(found.name);
      if (piece === undefined) continue;
      const state = { listed: { piece: piece.suffix } };
      yield { upload: { id: piece.id, state }, modifiedAt: found.modifiedAt };
    }
  }

  private async open(key: ObjectKey, span: ByteSpan | undefined, options: IoOptions): Promise<Readable> {
    const name = parseObjectKey(key);
    if (isReserved(name)) throw new ObjectNotFoundError(key);
    if (span === undefined) {
      const { sizeBytes } = await this.stat(key, options);
      return sizeBytes === 0 ? Readable.from([]) : this.open(key, { start: 0, end: sizeBytes - 1 }, options);
    }
    if (!(span.start >= 0 && span.start <= span.end)) {
      throw new StorageError(`bytes ${span.start}-${span.end} are no span`);
    }
    return readResuming(this.store, name, span, options);
  }
}

/** What stands in the state of an upload that was listed. @throws UploadStateError */
function listedOf({ id, state: { listed } }: DriverUpload): { piece?: string; multipart?: string } {
  if (listed === undefined) return {};
  if (typeof listed === 'object' && listed !== null && !Array.isArray(listed)) {
    const { piece, multipart } = listed;
    if (isSuffix(piece)) return { piece };
    if (typeof multipart === 'string') return { multipart };
  }
  throw new UploadStateError(`upload ${id} was not listed so by this driver`);
}

function keyOf(name: string): ObjectKey | undefined {
  try {
    return isReserved(name) ? undefined : parseObjectKey(name);
  } catch {
    // Somebody else's.
    return undefined;
  }
}

function statOf({ sizeBytes, modifiedAt }: StoredObject, key: ObjectKey): ObjectStat {
  return { key, sizeBytes, modifiedAt };
}

function destroyLate(stream: Readable): void {
  stream.destroy();
}

function attempt<T>(options: IoOptions, work: () => T): Promise<T> {
  return abortable(options, () => new Promise((resolve) => resolve(work())));
}
