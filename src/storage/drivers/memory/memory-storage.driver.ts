import { Readable } from 'node:stream';
import type { Digest } from '../../../oci/digest.js';
import { attempt } from '../../attempt.js';
import { type Claim, CLAIM } from '../../claim-object.js';
import { IDENTITY } from '../../identity-object.js';
import { blobObjectKey, type ObjectKey } from '../../object-key.js';
import type { StoringStorageDriver, UploadReadingStorageDriver } from '../../driver-abilities.js';
import type {
  ByteSpan,
  DriverUpload,
  DriverUploadState,
  ObjectStat,
  StoredUpload,
  UploadSink,
} from '../../storage-driver.js';
import { ObjectNotFoundError, UploadStateError } from '../../storage.errors.js';
import { byteRange } from '../../reading.js';
import { segmentOwner } from '../segment-name.js';
import { listedSegment, type Segment, segmentNames, UploadSegments } from '../upload-segments.js';
import { MemoryMedium, type MemoryObject, sliceChunks, totalBytes } from './memory-medium.js';
import { MemoryUploadSink } from './memory-upload-sink.js';

/** Chunk size of reads. */
const CHUNK_BYTES = 512 * 1024;

/** Enough for a few images. */
export const DEFAULT_MEMORY_CAPACITY_BYTES = 1024 ** 3;

/**
 * Blobs in the memory of this process, for tests and first tries. Unlike what the contract promises, nothing
 * survives a restart, and replicas share nothing.
 */
export class MemoryStorageDriver implements StoringStorageDriver, UploadReadingStorageDriver {
  readonly name = 'memory';
  readonly abilities = {
    redirects: false,
    opensObjects: false,
    readsUploads: true,
    deletesMany: false,
    storesUploads: true,
    outlivesProcess: false,
  };
  readonly location = 'memory (lost at exit)';

  constructor(private readonly medium = new MemoryMedium(DEFAULT_MEMORY_CAPACITY_BYTES)) {}

  freeBytes(): Promise<number> {
    return Promise.resolve(this.medium.freeBytes);
  }

  readIdentity(): Promise<string | undefined> {
    return attempt(() => this.medium.identity);
  }

  writeIdentity(id: string): Promise<void> {
    return attempt(() => {
      this.medium.identity = IDENTITY.parse(IDENTITY.toBytes(id), this.location);
    });
  }

  readClaim(): Promise<Claim | undefined> {
    return attempt(() => this.medium.claim);
  }

  writeClaim(claim: Claim): Promise<void> {
    return attempt(() => {
      this.medium.claim = CLAIM.parse(CLAIM.toBytes(claim), this.location);
    });
  }

  isEmpty(): Promise<boolean> {
    return attempt(() => this.medium.objects.size === 0 && this.medium.segments.size === 0);
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  check(): Promise<void> {
    // The only possible problem is a full medium.
    return attempt(() => {
      this.medium.reserve(1);
      this.medium.release(1);
    });
  }

  stat(key: ObjectKey): Promise<ObjectStat> {
    return attempt(() => {
      const { sizeBytes, modifiedAt } = this.objectAt(key);
      return { key, sizeBytes, modifiedAt };
    });
  }

  read(key: ObjectKey, span: ByteSpan | undefined): Promise<Readable> {
    return attempt(() => {
      const { chunks, sizeBytes } = this.objectAt(key);
      const { start, end } = byteRange(sizeBytes, span);
      return streamOf(sliceChunks(chunks, start, end));
    });
  }

  delete(key: ObjectKey): Promise<void> {
    return attempt(() => {
      const object = this.medium.objects.get(key);
      this.medium.release(object?.sizeBytes ?? 0);
      this.medium.objects.delete(key);
    });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the contract's lists are asynchronous
  async *list(prefix: string): AsyncGenerator<ObjectStat, void> {
    for (const [key, { sizeBytes, modifiedAt }] of this.medium.objects) {
      if (key.startsWith(prefix)) {
        yield { key, sizeBytes, modifiedAt };
      }
    }
  }

  createUpload(id: string): Promise<DriverUploadState> {
    return attempt(() => UploadSegments.first(id).toState());
  }

  openUpload(upload: DriverUpload, offsetBytes: number): Promise<UploadSink> {
    return attempt(() => {
      const segments = UploadSegments.recordedAt(upload, offsetBytes);
      this.storedChunks(segments.firstBytes(offsetBytes));
      const { name, startBytes, endBytes } = segments.open;
      this.medium.truncateSegment(name, endBytes - startBytes);
      return new MemoryUploadSink(this.medium, segments);
    });
  }

  fenceUpload(upload: DriverUpload): Promise<DriverUploadState> {
    return attempt(() => UploadSegments.recorded(upload).fenced().toState());
  }

  readUpload(upload: DriverUpload, sizeBytes: number): Promise<Readable> {
    return attempt(() => streamOf(this.storedChunks(UploadSegments.recorded(upload).firstBytes(sizeBytes))));
  }

  objectKeyOf({ id }: DriverUpload, digest: Digest): ObjectKey {
    return blobObjectKey(digest, id);
  }

  finishUpload(upload: DriverUpload, digest: Digest, sizeBytes: number): Promise<ObjectKey> {
    return attempt(() => {
      const key = this.objectKeyOf(upload, digest);
      const segments = UploadSegments.recordedAt(upload, sizeBytes);
      const existing = this.medium.objects.get(key);
      if (existing !== undefined && existing.sizeBytes !== sizeBytes) {
        throw new UploadStateError(`${key} has ${existing.sizeBytes} bytes instead of ${sizeBytes}`);
      }
      const chunks = existing?.chunks ?? this.storedChunks(segments.firstBytes(sizeBytes));
      segments.all.forEach(({ name }) => this.medium.dropSegment(name));
      if (existing === undefined) {
        this.medium.reserve(sizeBytes);
        this.medium.objects.set(key, { chunks, sizeBytes, modifiedAt: new Date() });
      }
      return key;
    });
  }

  storeUpload(upload: DriverUpload, digest: Digest, bytes: Uint8Array): Promise<ObjectKey> {
    return attempt(() => {
      const key = this.objectKeyOf(upload, digest);
      UploadSegments.recordedAt(upload, 0);
      if (!this.medium.objects.has(key)) {
        this.medium.reserve(bytes.byteLength);
        const object = {
          chunks: [Buffer.from(bytes)],
          sizeBytes: bytes.byteLength,
          modifiedAt: new Date(),
        };
        this.medium.objects.set(key, object);
      }
      return key;
    });
  }

  abortUpload(upload: DriverUpload): Promise<void> {
    return attempt(() => segmentNames(upload).forEach((name) => this.medium.dropSegment(name)));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the contract's lists are asynchronous
  async *listUploads(): AsyncGenerator<StoredUpload, void> {
    for (const [name, { modifiedAt }] of this.medium.segments) {
      const id = segmentOwner(name);
      if (id !== undefined) {
        yield { upload: listedSegment(id, name), modifiedAt };
      }
    }
  }

  /** @throws ObjectNotFoundError */
  private objectAt(key: ObjectKey): MemoryObject {
    const object = this.medium.objects.get(key);
    if (object === undefined) {
      throw new ObjectNotFoundError(key);
    }
    return object;
  }

  /** @throws UploadStateError if acknowledged bytes are missing. */
  private storedChunks(segments: readonly Segment[]): Buffer[] {
    return segments.flatMap(({ name, startBytes, endBytes }) => {
      const chunks = sliceChunks(this.medium.chunksOf(name), 0, endBytes - startBytes);
      if (totalBytes(chunks) < endBytes - startBytes) {
        throw new UploadStateError(
          `segment ${name} has ${totalBytes(chunks)} bytes instead of at least ${endBytes - startBytes}`,
        );
      }
      return chunks;
    });
  }
}

function streamOf(chunks: readonly Buffer[]): Readable {
  return Readable.from(splitChunks(chunks), { objectMode: false, highWaterMark: CHUNK_BYTES });
}

function* splitChunks(chunks: readonly Buffer[]): Generator<Buffer, void> {
  for (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += CHUNK_BYTES) {
      // A copy, because readers may overwrite it and objects never change.
      yield Buffer.from(chunk.subarray(start, start + CHUNK_BYTES));
    }
  }
}
