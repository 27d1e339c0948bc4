import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IDENTITY } from '../../identity-object.js';
import { OWN_NAMES } from '../../own-object.js';
import {
  ObjectNotFoundError,
  StorageError,
  StorageIdentityError,
  UploadStateError,
} from '../../storage.errors.js';
import { segmentOwner } from '../segment-name.js';
import { isMissing } from './filesystem.errors.js';
import { readOwnFile } from './own-file.js';

/** The top-level directory of unfinished uploads. It contains no objects. */
const UPLOADS = 'uploads';

/**
 * The layout on disk. All paths are made here.
 *
 *     <root>/
 *       berth-identity                      the UUID that the database also has
 *       berth-claim                         which database may delete objects
 *       blobs/sha256/ab/<hex>/<upload id>   objects, by digest; the upload id makes the key unique
 *       uploads/<upload id>                 unfinished uploads; flat: one per open session
 *       uploads/<upload id>~<random hex>    continued in a new file after a fence; or stored in one call
 *       uploads/.probe-<uuid>               exists during a probe
 *
 * A key is the path below the root. Objects at other paths (`old/layout/layer.tar`) can be read, listed and
 * deleted too. `uploads/` and top-level names with the prefix `berth-` are reserved and contain no objects.
 * Symbolic links below the root are never followed. `blobs` and `uploads` must be on one file system.
 */
export class FilesystemLayout {
  readonly root: string;
  readonly blobs: string;
  readonly uploads: string;
  /** The file with the identity. */
  readonly identity: string;
  private realRoot: string | undefined;
  private expectedIdentity: string | undefined;
  /** The stats of the identity's file when it last had the expected identity. */
  private lastSeen: Stats | undefined;

  constructor(rootDir: string) {
    this.root = resolve(rootDir);
    this.blobs = join(this.root, 'blobs');
    this.uploads = join(this.root, UPLOADS);
    this.identity = join(this.root, IDENTITY.name);
  }

  /** From now on {@link expectMounted} rejects unless the storage has this identity. */
  expectIdentity(id: string | undefined): void {
    this.expectedIdentity = id;
    this.lastSeen = undefined;
  }

  /** @throws UploadStateError if `name` is not the name of a segment. */
  segmentPath(name: string): string {
    if (segmentOwner(name) === undefined) {
      throw new UploadStateError('not the name of an upload segment');
    }
    return join(this.uploads, name);
  }

  /** @throws ObjectNotFoundError for reserved names. */
  objectPath(key: string): string {
    const segments = key.split('/');
    if (this.isReserved(segments[0] ?? '')) {
      throw new ObjectNotFoundError(key);
    }
    return join(this.root, ...segments);
  }

  isReserved(topName: string): boolean {
    return topName === UPLOADS || topName.startsWith(OWN_NAMES);
  }

  /**
   * Rejects if the way to `path` has a symbolic link below the root, or with the system's error if it is
   * missing.
   */
  async refuseLinks(path: string): Promise<void> {
    this.realRoot ??= await realpath(this.root);
    const expected = join(this.realRoot, path.slice(this.root.length));
    if ((await realpath(path)) !== expected) {
      throw new StorageError(`${path} is reached through a symbolic link below the storage root`);
    }
  }

  /**
   * Checks that the storage is mounted. Call it before a missing path counts as a missing object, and before
   * creating directories: an unmounted disk, or another storage at its mount point, must neither look like
   * deleted blobs nor be filled. Usually costs one lstat; the identity is read again only if its file has
   * changed.
   *
   * @param cause the error about the missing path.
   * @throws StorageIdentityError
   */
  async expectMounted(cause?: unknown): Promise<void> {
    try {
      const stats = await lstat(this.expectedIdentity === undefined ? this.uploads : this.identity);
      if (this.expectedIdentity === undefined || isSameFile(stats, this.lastSeen)) return;
      const found = await readOwnFile(this.root, IDENTITY);
      if (found === this.expectedIdentity) this.lastSeen = stats;
      else if (found !== undefined) throw this.otherStorage(found, cause);
      else throw this.notMounted(cause);
    } catch (error) {
      if (error instanceof StorageError) throw error;
      throw isMissing(error)
        ? this.notMounted(cause)
        : new StorageError(`the storage directory ${this.root} cannot be read`, { cause: error });
    }
  }

  private notMounted(cause: unknown): StorageError {
    return new StorageIdentityError(
      `the storage directory ${this.root} is missing: check that its disk is mounted`,
      {
        cause,
      },
    );
  }

  private otherStorage(found: string, cause: unknown): StorageError {
    return new StorageIdentityError(
      `the storage directory ${this.root} has the identity ${found} instead of ${this.expectedIdentity}: ` +
        'check that the right disk is mounted',
      { cause },
    );
  }
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return (
    other !== undefined && one.dev === other.dev && one.ino === other.ino && one.mtimeMs === other.mtimeMs
  );
}
