import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.js';
import { abortable, completed } from './abortable.js';
import type { Claim } from './claim-object.js';
import {
  type BulkDeletingStorageDriver,
  canDeleteMany,
  canOpen,
  canReadUploads,
  canRedirect,
  canStore,
  MAX_STORED_UPLOAD_BYTES,
  type OpeningStorageDriver,
  type RedirectingStorageDriver,
  type StoringStorageDriver,
  type UploadReadingStorageDriver,
} from './driver-abilities.js';
import {
  blobObjectKey,
  type ObjectKey,
  parseKeyPrefix,
  parseKeySegment,
  parseObjectKey,
} from './object-key.js';
import { MeasuredOperations } from './measured-operations.js';
import { destroyLate, untilAborted } from './reading.js';
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
} from './storage-driver.js';
import { StorageError } from './storage.errors.js';

/**
 * The wrapper around every driver. It checks keys, upload ids, digests and abort signals, so a driver only
 * gets valid ones, and may ignore the signal of a call that is short. It measures the operations. It has the
 * abilities of the driver that it wraps.
 *
 * It is called once per operation and stays out of the way of the bytes: the driver's own sinks, streams and
 * open objects go to the caller.
 */
export class CheckedStorageDriver implements StorageDriver {
  readonly name: string;
  readonly location: string;
  readonly abilities: StorageAbilities;
  readonly redirectUrl?: RedirectingStorageDriver['redirectUrl'];
  readonly openObject?: OpeningStorageDriver['openObject'];
  readonly readUpload?: UploadReadingStorageDriver['readUpload'];
  readonly deleteMany?: BulkDeletingStorageDriver['deleteMany'];
  readonly storeUpload?: StoringStorageDriver['storeUpload'];

  private readonly operations: MeasuredOperations;

  constructor(private readonly driver: StorageDriver) {
    this.name = driver.name;
    this.operations = new MeasuredOperations(driver.name);
    const { operations } = this;
    this.location = driver.location;
    this.abilities = driver.abilities;
    if (canRedirect(driver)) {
      this.redirectUrl = (key, options = {}) =>
        operations.run('redirect', options, () =>
          abortable(options, () => driver.redirectUrl(parseObjectKey(key), options)),
        );
    }
    if (canOpen(driver)) {
      this.openObject = (key, options = {}) =>
        operations.run('open', options, () =>
          abortable(
            options,
            () => driver.openObject(parseObjectKey(key), options),
            (late) => late.close(),
          ),
        );
    }
    if (canReadUploads(driver)) {
      this.readUpload = (upload, sizeBytes, options = {}) =>
        operations.run('read_upload', options, () =>
          abortableRead(options, () => driver.readUpload(checkedUpload(upload), sizeBytes, options)),
        );
    }
    if (canDeleteMany(driver)) {
      this.deleteMany = (keys, options = {}) =>
        operations.run('delete_many', options, () =>
          abortable(options, async () => driver.deleteMany(keys.map(parseObjectKey), options)),
        );
    }
    if (canStore(driver)) {
      this.storeUpload = (upload, digest, bytes, options = {}) =>
        operations.run('store_upload', options, () =>
          completed(options, async () =>
            driver.storeUpload(
              checkedUpload(upload),
              checkedDigest(digest, upload),
              checkedContent(bytes),
              options,
            ),
          ),
        );
    }
  }

  freeBytes(): Promise<number | undefined> {
    return this.driver.freeBytes();
  }

  readIdentity(options: IoOptions = {}): Promise<string | undefined> {
    return this.operations.run('identity', options, () =>
      abortable(options, () => this.driver.readIdentity(options)),
    );
  }

  writeIdentity(id: string): Promise<void> {
    return this.driver.writeIdentity(id);
  }

  readClaim(options: IoOptions = {}): Promise<Claim | undefined> {
    return abortable(options, () => this.driver.readClaim(options));
  }

  writeClaim(claim: Claim, options: IoOptions = {}): Promise<void> {
    return abortable(options, () => this.driver.writeClaim(claim, options));
  }

  isEmpty(): Promise<boolean> {
    return this.driver.isEmpty();
  }

  prepare(): Promise<void> {
    return this.driver.prepare();
  }

  check(options: IoOptions = {}): Promise<void> {
    return this.operations.run('check', options, () => abortable(options, () => this.driver.check(options)));
  }

  stat(key: ObjectKey, options: IoOptions = {}): Promise<ObjectStat> {
    return this.operations.run('stat', options, () =>
      abortable(options, () => this.driver.stat(parseObjectKey(key), options)),
    );
  }

  read(key: ObjectKey, span: ByteSpan | undefined, options: IoOptions = {}): Promise<Readable> {
    return this.operations.run('read', options, () =>
      abortableRead(options, () => this.driver.read(parseObjectKey(key), span, options)),
    );
  }

  delete(key: ObjectKey, options: IoOptions = {}): Promise<void> {
    return this.operations.run('delete', options, () =>
      abortable(options, () => this.driver.delete(parseObjectKey(key), options)),
    );
  }

  list(prefix: string, options: IoOptions = {}): AsyncIterable<ObjectStat> {
    return abortableList(options, () => this.driver.list(parseKeyPrefix(prefix), options));
  }

  createUpload(id: string, options: IoOptions = {}): Promise<DriverUploadState> {
    return this.operations.run('create_upload', options, () =>
      abortable(options, () => this.driver.createUpload(parseKeySegment(id), options)),
    );
  }

  openUpload(upload: DriverUpload, offsetBytes: number, options: IoOptions = {}): Promise<UploadSink> {
    return this.operations.run('open_upload', options, () =>
      completed(
        options,
        () => this.driver.openUpload(checkedUpload(upload), offsetBytes, options),
        (late) => late.close(),
      ),
    );
  }

  fenceUpload(upload: DriverUpload, options: IoOptions = {}): Promise<DriverUploadState> {
    return this.operations.run('fence_upload', options, () =>
      abortable(options, () => this.driver.fenceUpload(checkedUpload(upload), options)),
    );
  }

  objectKeyOf(upload: DriverUpload, digest: Digest): ObjectKey {
    return this.driver.objectKeyOf(checkedUpload(upload), checkedDigest(digest, upload));
  }

  finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options: IoOptions = {},
  ): Promise<ObjectKey> {
    return this.operations.run('finish_upload', options, () =>
      abortable(options, () =>
        this.driver.finishUpload(checkedUpload(upload), checkedDigest(digest, upload), sizeBytes, options),
      ),
    );
  }

  abortUpload(upload: DriverUpload, options: IoOptions = {}): Promise<void> {
    return this.operations.run('abort_upload', options, () =>
      abortable(options, () => this.driver.abortUpload(checkedUpload(upload), options)),
    );
  }

  listUploads(options: IoOptions = {}): AsyncIterable<StoredUpload> {
    return abortableList(options, () => this.driver.listUploads(options));
  }
}

async function abortableRead(options: IoOptions, open: () => Promise<Readable>): Promise<Readable> {
  return untilAborted(await abortable(options, open, destroyLate), options);
}

async function* abortableList<T>(
  { signal }: IoOptions,
  list: () => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  signal?.throwIfAborted();
  try {
    for await (const each of list()) {
      signal?.throwIfAborted();
      yield each;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** @throws InvalidObjectKeyError */
function checkedUpload(upload: DriverUpload): DriverUpload {
  parseKeySegment(upload.id);
  return upload;
}

/** @throws StorageError */
function checkedContent(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength > MAX_STORED_UPLOAD_BYTES) {
    throw new StorageError(
      `${bytes.byteLength} bytes can't be stored in one call: at most ${MAX_STORED_UPLOAD_BYTES}`,
    );
  }
  return bytes;
}

/** @throws InvalidObjectKeyError if the digest can't be part of a key. */
function checkedDigest(digest: Digest, { id }: DriverUpload): Digest {
  blobObjectKey(digest, id);
  return digest;
}
