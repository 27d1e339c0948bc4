import { lstat, mkdir, open } from 'node:fs/promises';
import { dirname, sep } from 'node:path';
import { StorageIdentityError } from '../../storage.errors.js';
import { errorCode, isMissing } from './filesystem.errors.js';

/** Makes a directory's entries durable: what was created in it, or renamed into it. */
export type DirectorySync = (path: string) => Promise<void>;

/**
 * File systems that can't flush a directory say so with these; PostgreSQL goes on then too (`fsync_fname`).
 */
const CANNOT_SYNC = new Set(['EINVAL', 'EBADF', 'ENOTSUP']);

/**
 * fsync(2) of a directory. Windows has nothing like it: its file systems journal directories by themselves.
 */
export const syncDirectory: DirectorySync = async (path) => {
  if (process.platform === 'win32') {
    return;
  }
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } catch (error) {
    if (!CANNOT_SYNC.has(errorCode(error) ?? '')) {
      throw error;
    }
  } finally {
    await directory.close();
  }
};

/**
 * Directories whose way down from `top` survives a crash of the machine. A directory is an entry in its
 * parent, so each parent must be flushed; and since another process may have created one and not flushed it
 * yet, "it is there" is not "it is durable". Those which this process has flushed are remembered: the shards,
 * at most 257 per algorithm.
 */
export class DurableDirectories {
  private readonly durable = new Set<string>();

  constructor(
    private readonly top: string,
    private readonly sync: DirectorySync,
  ) {}

  /**
   * Creates `leaf` and what is missing above it. Not durable yet. Directories directly below `top` are not
   * created: they are there since the storage was prepared, and missing only where its disk is.
   *
   * @throws StorageIdentityError where one of those is missing; else the system's error.
   */
  async make(leaf: string): Promise<void> {
    if (dirname(leaf) === this.top) return this.expectThere(leaf);
    try {
      await this.makeOne(leaf);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      await this.make(dirname(leaf));
      await this.makeOne(leaf);
    }
  }

  private async makeOne(path: string): Promise<void> {
    try {
      await mkdir(path);
      this.forget(path);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }

  private async expectThere(path: string): Promise<void> {
    try {
      await lstat(path);
    } catch (cause) {
      if (!isMissing(cause)) throw cause;
      throw new StorageIdentityError(
        `the storage directory ${this.top} has no ${path}; is its disk mounted?`,
        {
          cause,
        },
      );
    }
  }

  /** Makes the entries of `leaf` durable, and the way to it from `top`. */
  async flush(leaf: string): Promise<void> {
    const unflushed: string[] = [];
    for (let directory = leaf; directory !== this.top; directory = dirname(directory)) {
      if (!this.durable.has(directory)) {
        unflushed.push(directory);
      }
    }
    await Promise.all([leaf, ...unflushed.map(dirname)].map(this.sync));
    // A leaf is one blob's own: remembering it would never end.
    unflushed.filter((directory) => directory !== leaf).forEach((directory) => this.durable.add(directory));
  }

  /** Somebody had removed `path`: what was known of it and below is void. */
  private forget(path: string): void {
    for (const directory of this.durable) {
      if (directory === path || directory.startsWith(path + sep)) {
        this.durable.delete(directory);
      }
    }
  }
}
