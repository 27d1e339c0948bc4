import type { Stats } from 'node:fs';
import { lstat, rmdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import type { Digest } from '../../../oci/digest.js';
import { abortable, completed } from '../../abortable.js';
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
import type { OpeningStorageDriver, OpenObject, UploadReadingStorageDriver } from '../../driver-abilities.js';
import { byteRange, destroyLate, untilAborted } from '../../reading.js';
import { sharingSyncs } from './shared-syncs.js';
import { segmentNames, UploadSegments } from '../upload-segments.js';
import { type DirectorySync, DurableDirectories, syncDirectory } from './durable-directories.js';
import { READ_BYTES } from './file-readable.js';
import { FileUploadSink } from './file-upload-sink.js';
import { FilesystemLayout } from './filesystem-layout.js';
import {
  checkDirectories,
  isEmptyStorage,
  prepareDirectories,
  readIdentity,
  writeIdentity,
} from './filesystem-preparation.js';
import { isMissing, storageErrorOf, translating } from './filesystem.errors.js';
import { OpenFile } from './open-file.js';
import { walkObjects } from './object-walk.js';
import {
  cloneFile,
  cloneHead,
  expectHeld,
  type FileClone,
  openEnd,
  openReadable,
  readSegments,
  removeFiles,
} from './upload-files.js';
import { finishFile } from './finish-file.js';
import { walkUploads } from './upload-walk.js';

/**
 * Blobs as files below one directory, which replicas may share.
 *
 *     <root>/
 *       berth-identity                      a UUID, which the database that it belongs to has too
 *       blobs/sha256/ab/<hex>/<upload id>   finished objects; found by their digest, named by the upload that made them
 *       uploads/<upload id>                 bytes in flight; flat, since there are as many as uploads are open
 *       uploads/<upload id>~<random hex>    those after a takeover from a writer that never let go
 *       uploads/.probe-<uuid>               for the length of a probe
 *
 *        openUpload, write, flush                    finishUpload
 *     ───────────────────────────► uploads/<id> ───────rename───────► blobs/sha256/ab/<hex>/<id>
 *      fdatasync of the file; of `uploads` at        fsync of <hex>/, ab/ and, once per process and shard,
 *      the first flush of a new file                 of the directories above
 *
 * A writer that never let go still has its file open, and nothing takes that from it: whoever has a file open
 * can write to it, renamed or not. After `fenceUpload` the upload goes on in another file, at the same
 * offset; the hole before it is filled when the upload is finished, and that file is the one that is renamed.
 *
 *     uploads/<id>      ████████████▒▒▒▒▒▒   sealed: read up to where it was fenced, whatever is written behind that
 *                            │ copied at the finish (or shared from the start, where the file system clones files)
 *     uploads/<id>~9f…  ░░░░░▼░░░░░░██████►  ──────rename──────► blobs/sha256/ab/<hex>/<id>
 *
 * A key is the path below the root: objects that lie elsewhere (`old/layout/layer.tar`) can be read, listed
 * and deleted too. `uploads/` and names at the top that begin with `berth-` are reserved; no object is there
 * whatever lies in them. Symbolic links below the root are never followed. One file system must hold both
 * folders.
 *
 * On a deletion nothing is flushed: a crash may bring an object back, which is garbage, as the contract
 * allows.
 */
export class FilesystemStorageDriver implements OpeningStorageDriver, UploadReadingStorageDriver {
  readonly name = 'filesystem';
  readonly abilities = { redirects: false, opensObjects: true, readsUploads: true, outlivesProcess: false };
  readonly location: string;
  private readonly layout: FilesystemLayout;
  private readonly directories: DurableDirectories;
  private readonly sync: DirectorySync;

  constructor(
    rootDir: string,
    sync: DirectorySync = syncDirectory,
    private readonly clone: FileClone = cloneFile,
  ) {
    this.layout = new FilesystemLayout(rootDir);
    this.location = this.layout.root;
    this.sync = sharingSyncs(sync);
    this.directories = new DurableDirectories(this.layout.root, this.sync);
  }

  readIdentity(options: IoOptions = {}): Promise<string | undefined> {
    return abortable(options, () => readIdentity(this.layout));
  }

  async writeIdentity(id: string): Promise<void> {
    await writeIdentity(this.layout, id, this.sync);
  }

  isEmpty(): Promise<boolean> {
    return isEmptyStorage(this.layout);
  }

  /** What is found later at the same path is this storage only if it has the identity that it has now. */
  async prepare(): Promise<void> {
    await prepareDirectories(this.layout, this.sync);
    this.layout.expectIdentity(await readIdentity(this.layout));
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

  async openObject(key: ObjectKey, options: IoOptions = {}): Promise<OpenObject> {
    const path = this.layout.objectPath(key);
    const open = () =>
      this.onObject(key, 'opening an object', async () => {
        await this.layout.refuseLinks(path);
        const file = await OpenFile.open(path);
        if (file === undefined) throw new ObjectNotFoundError(key);
        return file;
      });
    return abortable(options, open, (file) => file.close());
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
    const first = UploadSegments.first(id);
    // The file is created with its first bytes: an upload that is only begun costs nothing and leaves
    // nothing.
    return abortable(options, () => Promise.resolve(first.toState()));
  }

  async openUpload(upload: DriverUpload, offsetBytes: number, options: IoOptions = {}): Promise<UploadSink> {
    const segments = UploadSegments.recordedAt(upload, offsetBytes);
    return completed(
      options,
      () => this.openSink(segments),
      (sink) => sink.close(),
    );
  }

  async fenceUpload(upload: DriverUpload, options: IoOptions = {}): Promise<DriverUploadState> {
    const fenced = UploadSegments.recorded(upload).fenced();
    // The new file, too, is created with its first bytes.
    return abortable(options, () => Promise.resolve(fenced.toState()));
  }

  async readUpload(upload: DriverUpload, sizeBytes: number, options: IoOptions = {}): Promise<Readable> {
    const segments = UploadSegments.recorded(upload).firstBytes(sizeBytes);
    await abortable(options, () => translating('reading an upload', () => expectHeld(segments, this.layout)));
    const stream = Readable.from(readSegments(segments, this.layout), {
      objectMode: false,
      highWaterMark: READ_BYTES,
    });
    return untilAborted(stream, options);
  }

  objectKeyOf({ id }: DriverUpload, digest: Digest): ObjectKey {
    return blobObjectKey(digest, id);
  }

  async finishUpload(
    upload: DriverUpload,
    digest: Digest,
    sizeBytes: number,
    options: IoOptions = {},
  ): Promise<ObjectKey> {
    const key = this.objectKeyOf(upload, digest);
    const target = this.layout.objectPath(key);
    const segments = UploadSegments.recordedAt(upload, sizeBytes);
    const { layout, directories } = this;
    await abortable(options, () =>
      translating('finishing an upload', () =>
        finishFile({ segments, target }, { layout, directories, signal: options.signal }),
      ),
    );
    return key;
  }

  async abortUpload(upload: DriverUpload, options: IoOptions = {}): Promise<void> {
    const paths = segmentNames(upload).map((name) => this.layout.segmentPath(name));
    await abortable(options, () =>
      translating('aborting an upload', async () => {
        // Files of a disk that is away are not removed, and must not be taken for removed.
        await this.layout.expectMounted();
        await removeFiles(paths);
      }),
    );
  }

  async *listUploads({ signal }: IoOptions = {}): AsyncGenerator<StoredUpload, void> {
    signal?.throwIfAborted();
    try {
      yield* walkUploads(this.layout, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw storageErrorOf(error, 'listing uploads');
    }
  }

  private async openSink(recorded: UploadSegments): Promise<UploadSink> {
    return translating('opening an upload', async () => {
      const { layout } = this;
      await layout.expectMounted();
      await expectHeld(recorded.firstBytes(recorded.open.startBytes), layout);
      const segments = await cloneHead(recorded, layout, this.clone);
      const file = await openEnd(layout.segmentPath(segments.open.name), segments.open);
      // Nobody was told yet that the file is there, so its entry may not be durable.
      const isNew = recorded.open.startBytes === recorded.open.endBytes;
      return new FileUploadSink(file, segments, isNew ? () => this.sync(layout.uploads) : undefined);
    });
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
 * Folders that bear a digest go with their last object; the shards above stay. One that is filled at this
 * moment is left alone by rmdir, and one that was about to be is made again by `finishFile`.
 */
async function removeDigestFolder(key: ObjectKey, folder: string): Promise<void> {
  const [top, , , , id, ...more] = key.split('/');
  if (top === 'blobs' && id !== undefined && more.length === 0) {
    await rmdir(folder).catch(() => undefined);
  }
}
