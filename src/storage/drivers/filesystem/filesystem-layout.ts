import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IDENTITY_NAME, OWN_NAMES } from '../../identity-object.js';
import {
  ObjectNotFoundError,
  StorageError,
  StorageIdentityError,
  UploadStateError,
} from '../../storage.errors.js';
import { segmentOwner } from '../segment-name.js';
import { isMissing } from './filesystem.errors.js';
import { readIdentityFile } from './identity-file.js';

/** The top folder that holds bytes in flight, and no objects. */
const UPLOADS = 'uploads';

/** Where things lie below the root; the drawing is at the driver. Paths are made here and nowhere else. */
export class FilesystemLayout {
  readonly root: string;
  readonly blobs: string;
  readonly uploads: string;
  /** The file with the storage's identity. */
  readonly identity: string;
  private realRoot: string | undefined;
  private expectedIdentity: string | undefined;
  /** The identity's file as it was when the expected identity was read from it. */
  private known: Stats | undefined;

  constructor(rootDir: string) {
    this.root = resolve(rootDir);
    this.blobs = join(this.root, 'blobs');
    this.uploads = join(this.root, UPLOADS);
    this.identity = join(this.root, IDENTITY_NAME);
  }

  /** From now on {@link expectMounted} rejects unless the storage has this identity. */
  expectIdentity(id: string | undefined): void {
    this.expectedIdentity = id;
    this.known = undefined;
  }

  /** @throws UploadStateError for what is no name of a segment. */
  segmentPath(name: string): string {
    if (segmentOwner(name) === undefined) {
      throw new UploadStateError('not the name of an upload segment');
    }
    return join(this.uploads, name);
  }

  /** @throws ObjectNotFoundError for names under which no object can be. */
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
   * Settles when `path`, which exists, is reached without a symbolic link below the root: links would lead
   * out of it. Rejects with the system's error when it doesn't exist.
   */
  async refuseLinks(path: string): Promise<void> {
    this.realRoot ??= await realpath(this.root);
    const expected = join(this.realRoot, path.slice(this.root.length));
    if ((await realpath(path)) !== expected) {
      throw new StorageError(`${path} is reached through a symbolic link below the storage root`);
    }
  }

  /**
   * To be called before `cause`, a missing path, is taken for a missing object, and before directories are
   * made: neither an unmounted disk nor another storage at its mount point may look like deleted blobs, or be
   * filled. Costs one look at a file, as a rule: its content is read again only when the file is another one.
   *
   * @throws StorageIdentityError
   */
  async expectMounted(cause?: unknown): Promise<void> {
    try {
      const stats = await lstat(this.expectedIdentity === undefined ? this.uploads : this.identity);
      if (this.expectedIdentity === undefined || isSameFile(stats, this.known)) return;
      const found = await readIdentityFile(this);
      if (found === this.expectedIdentity) this.known = stats;
      else if (found !== undefined) throw this.otherStorage(found, cause);
      else throw this.gone(cause);
    } catch (error) {
      if (error instanceof StorageError) throw error;
      throw isMissing(error)
        ? this.gone(cause)
        : new StorageError(`the storage directory ${this.root} can't be read`, { cause: error });
    }
  }

  private gone(cause: unknown): StorageError {
    return new StorageIdentityError(`the storage directory ${this.root} is gone; is its disk mounted?`, {
      cause,
    });
  }

  private otherStorage(found: string, cause: unknown): StorageError {
    return new StorageIdentityError(
      `the storage directory ${this.root} has the identity ${found} instead of ${this.expectedIdentity}; ` +
        'is the right disk mounted?',
      { cause },
    );
  }
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return (
    other !== undefined && one.dev === other.dev && one.ino === other.ino && one.mtimeMs === other.mtimeMs
  );
}
