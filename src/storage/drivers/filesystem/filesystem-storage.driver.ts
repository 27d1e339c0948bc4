import type { Stats } from 'node:fs';
import { lstat, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import type { Digest } from '../../../oci/digest.js';
import { abortable } from '../../abortable.js';
import { blobObjectKey, type ObjectKey, parseKeySegment } from '../../object-key.js';
import type {
  ByteSpan,
  DriverUpload,
  DriverUploadState,
  IoOptions,
  ObjectStat,
  StorageDriver,
  StoredUpload,
  UploadSink,
} from '../../storage-driver.js';
import { ObjectNotFoundError } from '../../storage.errors.js';
import { byteRange, destroyLate, untilAborted } from '../reading.js';
import { expectRecordedAtLeast, expectRecordedSize, recordedSize, recordSize } from '../recorded-size.js';
import { type DirectorySync, DurableDirectories, syncDirectory } from './durable-directories.js';
import { FileUploadSink } from './file-upload-sink.js';
import { FilesystemLayout } from './filesystem-layout.js';
import { checkDirectories, prepareDirectories } from './filesystem-preparation.js';
import { isMissing, storageErrorOf, translating } from './filesystem.errors.js';
import { walkObjects } from './object-walk.js';
import { expectBytes, openAtOffset, openReadable } from './upload-files.js';
import { finishFile } from './upload-finisher.js';

/**
 * Blobs as files below one directory, which replicas may share.
 *
 *     <root>/
 *       blobs/sha256/ab/<hex>/<upload id>   finished objects; found by their digest, named by the upload that made them
 *       uploads/<upload id>                 bytes in flight; flat, since there are as many as uploads are open
 *       uploads/.probe-<uuid>               for the length of a probe
 *
 *        openUpload, write, flush                    finishUpload
 *     ───────────────────────────► uploads/<id> ───────rename───────► blobs/sha256/ab/<hex>/<id>
 *      fdatasync of the file; of `uploads` at        fsync of <hex>/, ab/ and, once per process and shard,
 *      the first flush of a new file                 of the directories above
 *
 * A key is the path below the root: objects that lie elsewhere (`old/layout/layer.tar`) can be read, listed and
 * deleted too. `uploads/` alone is reserved; no object is there whatever lies in it. Symbolic links below the root
 * are never followed. One file system must hold both folders.
 *
 * On a deletion nothing is flushed: a crash may bring an object back, which is garbage, as the contract allows.
 */
export class FilesystemStorageDriver implements StorageDriver {
  readonly name = 'filesystem';
  readonly location: string;
  private readonly layout: FilesystemLayout;
  private readonly directories: DurableDirectories;

  constructor(
    rootDir: string,
    private readonly sync: DirectorySync = syncDirectory,
  ) {
    this.layout = new FilesystemLayout(rootDir);
    this.location = this.layout.root;
    this.directories = new DurableDirectories(this.layout.root, sync);
  }

  async prepare(): Promise<void> {
    await prepareDirectories(this.layout, this.sync);
  }

  async check(options: IoOptions = {}): Promise<void> {
    await abortable(options, () => checkDirectories(this.layout));
  }

  async stat(key: ObjectKey, options: IoOptions = {}): Promise<ObjectStat> {
    const path = this.layout.objectPath(key);
    return abortable(options, () =>
      this.onObject(key, 'looking at an object', async () => {
        await this.layout.refuseLinks(path);
        const stats = expectFile(key, await lstat(path));
        return { key, sizeBytes: stats.size, modifiedAt: stats.mtime };
      }),
    );
  }

  async read(key: ObjectKey, span: ByteSpan | undefined, options: IoOptions = {}): Promise<Readable> {
    const path = this.layout.objectPath(key);
    const open = () =>
      this.onObject(key, 'opening an object', async () => {
        await this.layout.refuseLinks(path);
        return openReadable(path, (stats) => byteRange(expectFile(key, stats).size, span));
      });
    return untilAborted(await abortable(options, open, destroyLate), options);
  }

  async delete(key: ObjectKey, options: IoOptions = {}): Promise<void> {
    try {
      const path = this.layout.objectPath(key);
      await abortable(options, async () => {
        try {
          await this.onObject(key, 'deleting an object', () => this.unlinkObject(key, path));
        } finally {
          await removeDigestFolder(key, dirname(path));
        }
      });
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
    }
  }

  async *list(prefix: string, { signal }: IoOptions = {}): AsyncGenerator<ObjectStat, void> {
    signal?.throwIfAborted();
    try {
      yield* walkObjects(this.layout, prefix, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw storageErrorOf(error, 'listing objects');
    }
  }

  async createUpload(id: string, options: IoOptions = {}): Promise<DriverUploadState> {
    parseKeySegment(id);
    // The file is created with its first bytes: an upload that is only begun costs nothing and leaves nothing.
    return abortable(options, () => Promise.resolve(recordSize(0)));
  }

  async openUpload(upload: DriverUpload, offsetBytes: number, options: IoOptions = {}): Promise<UploadSink> {
    const path = this.layout.uploadPath(upload.id);
    expectRecordedSize(upload, offsetBytes);
    const openEnd = () =>
      translating('opening an upload', async () => {
        await this.layout.expectMounted();
        const file = await openAtOffset(path, offsetBytes);
        // At offset 0 nobody was told yet that the file is there, so its entry may not be durable.
        const syncEntry = offsetBytes === 0 ? () => this.sync(this.layout.uploads) : undefined;
        return new FileUploadSink(file, offsetBytes, syncEntry);
      });
    return abortable(options, openEnd, (sink) => sink.close());
  }

  async fenceUpload(upload: DriverUpload, options: IoOptions = {}): Promise<DriverUploadState> {
    parseKeySegment(upload.id);
    return abortable(options, () => Promise.resolve(recordSize(recordedSize(upload))));
  }

  async readUpload(upload: DriverUpload, sizeBytes: number, options: IoOptions = {}): Promise<Readable> {
    const path = this.layout.uploadPath(upload.id);
    expectRecordedAtLeast(upload, sizeBytes);
    const open = () =>
      translating('reading an upload', async () => {
        try {
          return await openReadable(path, ({ size }) => {
            expectBytes(path, size, sizeBytes);
            return { start: 0, end: sizeBytes };
          });
        } catch (error) {
          if (!isMissing(error)) throw error;
          expectBytes(path, 0, sizeBytes, error);
          return Readable.from([]);
        }
      });
    return untilAborted(await abortable(options, open, destroyLate), options);
  }

  async finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options: IoOptions = {},
  ): Promise<ObjectKey> {
    const source = this.layout.uploadPath(upload.id);
    const key = blobObjectKey(digest, upload.id);
    const target = this.layout.objectPath(key);
    expectRecordedSize(upload, sizeBytes);
    await abortable(options, () =>
      translating('finishing an upload', async () => {
        await finishFile({ source, target, sizeBytes }, this.layout, this.directories);
      }),
    );
    return key;
  }

  async *listUploads({ signal }: IoOptions = {}): AsyncGenerator<StoredUpload, void> {
    await Promise.resolve(signal?.throwIfAborted());
    yield* [];
  }

  async abortUpload(upload: DriverUpload, options: IoOptions = {}): Promise<void> {
    const path = this.layout.uploadPath(upload.id);
    await abortable(options, () => translating('aborting an upload', () => rm(path, { force: true })));
  }

  private async unlinkObject(key: ObjectKey, path: string): Promise<void> {
    await this.layout.refuseLinks(dirname(path));
    expectFile(key, await lstat(path));
    await unlink(path);
  }

  /** Does `work` on an object's path; a missing path means a missing object. */
  private async onObject<T>(key: ObjectKey, action: string, work: () => Promise<T>): Promise<T> {
    return translating(action, async () => {
      try {
        return await work();
      } catch (error) {
        if (!isMissing(error)) throw error;
        await this.layout.expectMounted(error);
        throw new ObjectNotFoundError(key, { cause: error });
      }
    });
  }
}

/** A folder, a pipe or a link is no object. */
function expectFile(key: ObjectKey, stats: Stats): Stats {
  if (!stats.isFile()) {
    throw new ObjectNotFoundError(key);
  }
  return stats;
}

/**
 * Folders that bear a digest go with their last object; the shards above stay. One that is filled at this moment is
 * left alone by rmdir, and one that was about to be is made again by `finishFile`.
 */
async function removeDigestFolder(key: ObjectKey, folder: string): Promise<void> {
  const [top, , , , id, ...more] = key.split('/');
  if (top === 'blobs' && id !== undefined && more.length === 0) {
    await rmdir(folder).catch(() => undefined);
  }
}
