import { lstat, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseObjectKey } from '../../object-key.js';
import { ObjectNotFoundError, StorageError, UploadStateError } from '../../storage.errors.js';
import { segmentOwner } from '../segment-name.js';
import { isMissing } from './filesystem.errors.js';

/** The one top folder that holds no objects. */
const RESERVED = 'uploads';

/** Where things lie below the root; the drawing is at the driver. Paths are made here and nowhere else. */
export class FilesystemLayout {
  readonly root: string;
  readonly blobs: string;
  readonly uploads: string;
  private realRoot: string | undefined;

  constructor(rootDir: string) {
    this.root = resolve(rootDir);
    this.blobs = join(this.root, 'blobs');
    this.uploads = join(this.root, RESERVED);
  }

  /** @throws UploadStateError for what is no name of a segment. */
  segmentPath(name: string): string {
    if (segmentOwner(name) === undefined) {
      throw new UploadStateError('not the name of an upload segment');
    }
    return join(this.uploads, name);
  }

  /** @throws InvalidObjectKeyError; ObjectNotFoundError for the folder where no object can be. */
  objectPath(key: string): string {
    const segments = parseObjectKey(key).split('/');
    if (segments[0] === RESERVED) {
      throw new ObjectNotFoundError(key);
    }
    return join(this.root, ...segments);
  }

  isReserved(topName: string): boolean {
    return topName === RESERVED;
  }

  /**
   * Settles when `path`, which exists, is reached without a symbolic link below the root: links would lead out of it.
   * Rejects with the system's error when it doesn't exist.
   */
  async refuseLinks(path: string): Promise<void> {
    this.realRoot ??= await realpath(this.root);
    const expected = join(this.realRoot, path.slice(this.root.length));
    if ((await realpath(path)) !== expected) {
      throw new StorageError(`${path} is reached through a symbolic link below the storage root`);
    }
  }

  /**
   * To be called before `cause`, a missing path, is taken for a missing object, and before directories are made: an
   * unmounted disk must neither look like deleted blobs nor be filled below its mount point.
   */
  async expectMounted(cause?: unknown): Promise<void> {
    try {
      await lstat(this.uploads);
    } catch (error) {
      throw isMissing(error)
        ? new StorageError(`the storage directory ${this.root} is gone; is its disk mounted?`, { cause })
        : new StorageError(`the storage directory ${this.root} can't be read`, { cause: error });
    }
  }
}
