import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type {
  Body,
  Multipart,
  ObjectStore,
  Part,
  RefusedDeletions,
  StoredMultipart,
  StoredObject,
} from '../../src/storage/object-store/object-store.js';
import type { UploadReadingStorageDriver } from '../../src/storage/driver-abilities.js';
import { pieceName } from '../../src/storage/object-store/names.js';
import { expectNoneRefused } from '../../src/storage/object-store/refused-deletions.js';
import {
  ObjectStorageDriver,
  type ObjectStorageOptions,
} from '../../src/storage/object-store/object-storage.driver.js';
import { parseStateAt } from '../../src/storage/object-store/upload-state.js';
import type { ByteSpan, DriverUpload, IoOptions } from '../../src/storage/storage-driver.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../../src/storage/storage.errors.js';

interface StartedMultipart {
  readonly name: string;
  touchedAt: Date;
  readonly parts: Map<number, { tag: string; bytes: Buffer }>;
}

/** The content of a bucket, for any number of stores. */
export class MemoryBucket {
  readonly objects = new Map<string, { bytes: Buffer; touchedAt: Date }>();
  readonly multiparts = new Map<string, StartedMultipart>();
  /** Objects that the bucket refuses to delete: a legal hold. */
  readonly held = new Set<string>();
  private idCount = 0;

  nextId(): string {
    this.idCount += 1;
    return `multipart-${this.idCount}`;
  }
}

export type Request = keyof ObjectStore;

/**
 * An object store with the rules of S3 that can fail at exactly one request, before or after its effect.
 * Records its requests.
 */
export class MemoryObjectStore implements ObjectStore {
  readonly name = 'memorystore';
  readonly location = 'memory';
  readonly maxPartNumber: number = 10_000;
  readonly requests: { readonly kind: string; readonly name: string; readonly bytes: number }[] = [];
  /** Called before and after the effect of each request. If it throws, the request fails with that error. */
  interfere: (kind: string, when: 'before' | 'after', name: string) => Promise<void> | void = () => undefined;

  /** @param leavesPartsOut true as in S3, false as in Ceph */
  constructor(
    readonly bucket = new MemoryBucket(),
    readonly leavesPartsOut = true,
    private readonly prefix = '',
  ) {}

  count(kind: string): number {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  check(options: IoOptions): Promise<void> {
    return this.request('check', '', 0, options, () => undefined);
  }

  head(name: string, options: IoOptions): Promise<StoredObject | undefined> {
    return this.request('head', name, 0, options, () => {
      const object = this.bucket.objects.get(this.prefix + name);
      return object && { name, sizeBytes: object.bytes.length, modifiedAt: object.touchedAt };
    });
  }

  get(name: string, { start, end }: ByteSpan, options: IoOptions): Promise<Readable> {
    return this.request('get', name, end - start + 1, options, () => {
      const bytes = this.bucket.objects.get(this.prefix + name)?.bytes;
      if (bytes === undefined) throw new ObjectNotFoundError(name);
      if (end >= bytes.length) throw new StorageError('the span is not within the object');
      return Readable.from(chunksOf(Buffer.from(bytes.subarray(start, end + 1))), { objectMode: false });
    });
  }

  put(name: string, body: Body, options: IoOptions): Promise<void> {
    return this.request('put', name, body.bytes.length, options, () => {
      tagOf(body);
      this.bucket.objects.set(this.prefix + name, { bytes: Buffer.from(body.bytes), touchedAt: now() });
    });
  }

  async delete(names: readonly string[], options: IoOptions): Promise<void> {
    expectNoneRefused(await this.deleteMany(names, options));
  }

  deleteMany(names: readonly string[], options: IoOptions): Promise<RefusedDeletions> {
    return this.request('delete', names.join(), 0, options, () => {
      const isRefused = (name: string) => this.bucket.held.has(this.prefix + name);
      names
        .filter((name) => !isRefused(name))
        .forEach((name) => this.bucket.objects.delete(this.prefix + name));
      return new Map(names.filter(isRefused).map((name) => [name, new StorageError(`${name} is held`)]));
    });
  }

  async *list(prefix: string, options: IoOptions): AsyncGenerator<StoredObject, void> {
    const found = await this.request('list', prefix, 0, options, () => [...this.bucket.objects]);
    for (const [path, { bytes, touchedAt: modifiedAt }] of found) {
      options.signal?.throwIfAborted();
      if (!path.startsWith(this.prefix + prefix)) continue;
      yield { name: path.slice(this.prefix.length), sizeBytes: bytes.length, modifiedAt };
    }
  }

  beginMultipart(name: string, options: IoOptions): Promise<Multipart> {
    return this.request('begin', name, 0, options, () => {
      const id = this.bucket.nextId();
      this.bucket.multiparts.set(id, { name: this.prefix + name, touchedAt: now(), parts: new Map() });
      return { name, id };
    });
  }

  putPart(multipart: Multipart, number: number, body: Body, options: IoOptions): Promise<Part> {
    return this.request('part', multipart.name, body.bytes.length, options, () => {
      const tag = tagOf(body);
      this.startedAs(multipart).parts.set(number, { tag, bytes: Buffer.from(body.bytes) });
      return { number, tag };
    });
  }

  completeMultipart(multipart: Multipart, parts: readonly Part[], options: IoOptions): Promise<void> {
    return this.request('complete', multipart.name, 0, options, () => {
      const started = this.startedAs(multipart);
      if (!this.leavesPartsOut && started.parts.size !== parts.length) {
        throw new UploadStateError('parts are left out');
      }
      const bytes = parts.map(({ number, tag }, index) => {
        const part = started.parts.get(number);
        const isInOrder = number > (parts[index - 1]?.number ?? 0);
        if (part?.tag !== tag || !isInOrder) throw new UploadStateError(`part ${number} has another tag`);
        return part.bytes;
      });
      if (new Set(bytes.slice(0, -1).map(({ length }) => length)).size > 1) {
        throw new UploadStateError('the parts are not of one size');
      }
      this.bucket.objects.set(this.prefix + multipart.name, {
        bytes: Buffer.concat(bytes),
        touchedAt: now(),
      });
      this.bucket.multiparts.delete(multipart.id);
    });
  }

  abortMultipart(multipart: Multipart, _parts: readonly Part[], options: IoOptions): Promise<void> {
    return this.request('abort', multipart.name, 0, options, () => {
      this.bucket.multiparts.delete(multipart.id);
    });
  }

  async *listMultiparts(prefix: string, options: IoOptions): AsyncGenerator<StoredMultipart, void> {
    const found = await this.request('listMultiparts', prefix, 0, options, () => [...this.bucket.multiparts]);
    for (const [id, { name: path, touchedAt: startedAt }] of found) {
      if (!path.startsWith(this.prefix + prefix)) continue;
      yield { id, name: path.slice(this.prefix.length), startedAt };
    }
  }

  private startedAs({ id, name }: Multipart): StartedMultipart {
    const started = this.bucket.multiparts.get(id);
    if (started?.name !== this.prefix + name) throw new UploadStateError('no such multipart');
    return started;
  }

  private async request<T>(
    kind: string,
    name: string,
    bytes: number,
    { signal }: IoOptions,
    work: () => T,
  ): Promise<T> {
    signal?.throwIfAborted();
    this.requests.push({ kind, name, bytes });
    await new Promise((resolve) => setImmediate(resolve));
    await this.interfere(kind, 'before', name);
    signal?.throwIfAborted();
    const value = work();
    await this.interfere(kind, 'after', name);
    return value;
  }
}

/** Reads unfinished uploads back, which a real store can't, for tests that compare rows with bytes. */
export class ReadableObjectStorageDriver extends ObjectStorageDriver implements UploadReadingStorageDriver {
  override readonly abilities = {
    redirects: false,
    opensObjects: false,
    readsUploads: true,
    deletesMany: true,
    storesUploads: false,
    outlivesProcess: true,
  };

  constructor(
    private readonly bucket: MemoryBucket,
    options: Omit<ObjectStorageOptions, 'redirect'>,
  ) {
    super(new MemoryObjectStore(bucket), { ...options, redirect: false });
  }

  readUpload(upload: DriverUpload, sizeBytes: number): Promise<Readable> {
    const layout = parseStateAt(upload, sizeBytes);
    const parts = layout.parts.map(({ number, tag }) => {
      const part = this.bucket.multiparts.get(layout.multipart ?? '')?.parts.get(number);
      if (part?.tag !== tag) throw new UploadStateError(`part ${number} has another tag`);
      return part.bytes;
    });
    const pieces = layout.pieces.map(({ suffix }) => {
      const piece = this.bucket.objects.get(pieceName(upload.id, suffix));
      if (piece === undefined) throw new UploadStateError('a piece is missing');
      return piece.bytes;
    });
    return Promise.resolve(Readable.from(Buffer.concat([...parts, ...pieces, layout.inline])));
  }
}

/** @throws StorageError if the checksum does not match. */
function tagOf({ bytes, md5 }: Body): string {
  const hash = createHash('md5').update(bytes);
  if (hash.copy().digest('base64') !== md5) throw new StorageError('the checksum does not match');
  return `"${hash.digest('hex')}"`;
}

function now(): Date {
  return new Date(Math.floor(Date.now() / 1000) * 1000);
}

function chunksOf(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 65_536) chunks.push(bytes.subarray(at, at + 65_536));
  return chunks;
}
