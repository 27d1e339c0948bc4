import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { freeSpaceOf } from '../../../common/free-space.js';
import { syncDirectory } from '../../../common/sync-directory.js';
import type { Digest } from '../../../oci/digest.js';
import { attempt } from '../../attempt.js';
import { type Claim, CLAIM } from '../../claim-object.js';
import { IDENTITY } from '../../identity-object.js';
import { blobObjectKey, type ObjectKey } from '../../object-key.js';
import type {
  ByteSpan,
  DriverUpload,
  DriverUploadState,
  IoOptions,
  ObjectStat,
  StoredUpload,
  UploadSink,
} from '../../storage-driver.js';
import { ObjectNotFoundError } from '../../storage.errors.js';
import type {
  BulkDeletingStorageDriver,
  DeletionFailures,
  OpeningStorageDriver,
  OpenObject,
  StoringStorageDriver,
  UploadReadingStorageDriver,
} from '../../driver-abilities.js';
import { byteRange } from '../../reading.js';
import { shareSyncs } from './shared-syncs.js';
import { newSegmentName } from '../segment-name.js';
import { segmentNames, UploadSegments } from '../upload-segments.js';
import { type DirectorySync, DurableDirectories } from './durable-directories.js';
import { READ_BYTES } from './file-readable.js';
import { FileUploadSink } from './file-upload-sink.js';
import { FilesystemLayout } from './filesystem-layout.js';
import {
  checkDirectories,
  isEmptyStorage,
  prepareDirectories,
  readOwn,
  writeOwn,
} from './filesystem-preparation.js';
import { isMissing, translateErrors, translateListErrors } from './filesystem.errors.js';
import { deleteObject, deleteObjects } from './object-deletion.js';
import { OpenFile } from './open-file.js';
import { walkObjects } from './object-walk.js';
import {
  cloneFile,
  cloneHead,
  expectStored,
  type FileClone,
  openEnd,
  openReadable,
  readSegments,
  removeFiles,
} from './upload-files.js';
import { finishFile } from './finish-file.js';
import { SlicedFile } from './sliced-file.js';
import { WriteThreads } from './write-threads.js';
import { storeFile } from './store-file.js';
import { walkUploads } from './upload-walk.js';

/**
 * Blobs as files in one directory, which replicas may share. {@link FilesystemLayout} draws the directory.
 *
 *        openUpload, write, flush                    finishUpload
 *     ───────────────────────────► uploads/<id> ───────rename───────► blobs/sha256/ab/<hex>/<id>
 *      fdatasync of the file; at the first           fsync of <hex>/, ab/ and, once per process and
 *      flush of a new file, fsync of uploads/        shard, of the directories above
 *
 * A fenced writer still has its file open and can write to it, even after a rename. So after `fenceUpload`
 * the upload continues in a new file, see {@link finishFile}.
 *
 * Small content takes one call and three flushes: {@link storeFile}.
 *
 * A deletion by `delete` is not flushed: a crash may bring an object back. `deleteMany` flushes.
 */
export class FilesystemStorageDriver
  implements BulkDeletingStorageDriver, OpeningStorageDriver, StoringStorageDriver, UploadReadingStorageDriver
{
  readonly name = 'filesystem';
  readonly location: string;
  readonly abilities = {
    redirects: false,
    opensObjects: true,
    readsUploads: true,
    deletesMany: true,
    storesUploads: true,
    outlivesProcess: false,
  };
  private readonly layout: FilesystemLayout;
  private readonly directories: DurableDirectories;
  private readonly sync: DirectorySync;
  private readonly threads = new WriteThreads();

  constructor(
    rootDir: string,
    sync: DirectorySync = syncDirectory,
    private readonly clone: FileClone = cloneFile,
  ) {
    this.layout = new FilesystemLayout(rootDir);
    this.location = this.layout.root;
    this.sync = shareSyncs(sync);
    this.directories = new DurableDirectories(this.layout.root, this.sync);
  }

  async freeBytes(): Promise<number> {
    return (await freeSpaceOf(this.layout.root)).freeBytes;
  }

  readIdentity(): Promise<string | undefined> {
    return readOwn(this.layout, IDENTITY);
  }

  writeIdentity(id: string): Promise<void> {
    return writeOwn(this.layout, IDENTITY, id, this.sync);
  }

  readClaim(): Promise<Claim | undefined> {
    return readOwn(this.layout, CLAIM);
  }

  async writeClaim(claim: Claim): Promise<void> {
    await this.layout.expectMounted();
    await writeOwn(this.layout, CLAIM, claim, this.sync);
  }

  isEmpty(): Promise<boolean> {
    return isEmptyStorage(this.layout);
  }

  /** From now on, a directory at this path with another identity is not this storage. */
  async prepare(): Promise<void> {
    await prepareDirectories(this.layout, this.sync);
    this.layout.expectIdentity(await this.readIdentity());
  }

  check(): Promise<void> {
    return checkDirectories(this.layout);
  }

  stat(key: ObjectKey): Promise<ObjectStat> {
    return this.onObject(key, 'reading the size of an object', async (path) => {
      await this.layout.refuseLinks(path);
      const { size, mtime } = expectFile(key, await lstat(path));
      return { key, sizeBytes: size, modifiedAt: mtime };
    });
  }

  read(key: ObjectKey, span: ByteSpan | undefined): Promise<Readable> {
    return this.onObject(key, 'opening an object', async (path) => {
      await this.layout.refuseLinks(path);
      return openReadable(path, (stats) => byteRange(expectFile(key, stats).size, span));
    });
  }

  openObject(key: ObjectKey): Promise<OpenObject> {
    return this.onObject(key, 'opening an object', async (path) => {
      await this.layout.refuseLinks(path);
      const file = await OpenFile.open(path);
      if (file === undefined) throw new ObjectNotFoundError(key);
      return file;
    });
  }

  delete(key: ObjectKey): Promise<void> {
    return deleteObject(key, this.layout);
  }

  deleteMany(keys: readonly ObjectKey[], options: IoOptions = {}): Promise<DeletionFailures> {
    return deleteObjects(keys, this.layout, this.sync, options);
  }

  list(prefix: string, { signal }: IoOptions = {}): AsyncIterable<ObjectStat> {
    return translateListErrors('listing objects', walkObjects(this.layout, prefix, signal));
  }

  /** Creates no file: an upload without bytes costs nothing and leaves nothing behind. */
  createUpload(id: string): Promise<DriverUploadState> {
    return attempt(() => UploadSegments.first(id).toState());
  }

  openUpload(upload: DriverUpload, offsetBytes: number): Promise<UploadSink> {
    return translateErrors('opening an upload', async () => {
      const { layout } = this;
      const recorded = UploadSegments.recordedAt(upload, offsetBytes);
      await layout.expectMounted();
      await expectStored(recorded.firstBytes(recorded.open.startBytes), layout);
      const segments = await cloneHead(recorded, layout, this.clone);
      const file = await openEnd(layout.segmentPath(segments.open.name), segments.open);
      // No flush has reported this file yet, so its directory entry may not be durable.
      const isNew = recorded.open.startBytes === recorded.open.endBytes;
      return new FileUploadSink(
        new SlicedFile(file, this.threads),
        segments,
        isNew ? () => this.sync(layout.uploads) : undefined,
      );
    });
  }

  fenceUpload(upload: DriverUpload): Promise<DriverUploadState> {
    return attempt(() => UploadSegments.recorded(upload).fenced().toState());
  }

  async readUpload(upload: DriverUpload, sizeBytes: number): Promise<Readable> {
    const segments = UploadSegments.recorded(upload).firstBytes(sizeBytes);
    await translateErrors('reading an upload', () => expectStored(segments, this.layout));
    return Readable.from(readSegments(segments, this.layout), {
      objectMode: false,
      highWaterMark: READ_BYTES,
    });
  }

  objectKeyOf({ id }: DriverUpload, digest: Digest): ObjectKey {
    return blobObjectKey(digest, id);
  }

  finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    { signal }: IoOptions = {},
  ): Promise<ObjectKey> {
    const { layout, directories } = this;
    return translateErrors('finishing an upload', async () => {
      const key = this.objectKeyOf(upload, digest);
      const segments = UploadSegments.recordedAt(upload, sizeBytes);
      await finishFile({ segments, target: layout.objectPath(key) }, { layout, directories, signal });
      return key;
    });
  }

  storeUpload(upload: DriverUpload, digest: Digest, bytes: Uint8Array): Promise<ObjectKey> {
    const { layout, directories } = this;
    return translateErrors('storing an upload', async () => {
      const key = this.objectKeyOf(upload, digest);
      const { id } = UploadSegments.recordedAt(upload, 0);
      const source = layout.segmentPath(newSegmentName(id));
      await storeFile({ source, target: layout.objectPath(key), bytes }, { layout, directories });
      return key;
    });
  }

  abortUpload(upload: DriverUpload): Promise<void> {
    return translateErrors('aborting an upload', async () => {
      const paths = segmentNames(upload).map((name) => this.layout.segmentPath(name));
      // Otherwise the files of an unmounted disk would count as removed.
      await this.layout.expectMounted();
      await removeFiles(paths);
    });
  }

  listUploads({ signal }: IoOptions = {}): AsyncIterable<StoredUpload> {
    return translateListErrors('listing uploads', walkUploads(this.layout, signal));
  }

  /** Runs `work` on an object's path. If the path is missing, so is the object. */
  private async onObject<T>(key: ObjectKey, action: string, work: (path: string) => Promise<T>): Promise<T> {
    return translateErrors(action, async () => {
      try {
        return await work(this.layout.objectPath(key));
      } catch (error) {
        if (!isMissing(error)) throw error;
        await this.layout.expectMounted(error);
        throw new ObjectNotFoundError(key, { cause: error });
      }
    });
  }
}

/** Directories, pipes and links are not objects. */
function expectFile(key: ObjectKey, stats: Stats): Stats {
  if (!stats.isFile()) {
    throw new ObjectNotFoundError(key);
  }
  return stats;
}
