import { lstat, mkdir } from 'node:fs/promises';
import { dirname, sep } from 'node:path';
import { StorageIdentityError } from '../../storage.errors.js';
import { errorCode, isMissing } from './filesystem.errors.js';

/** Makes the entries of a directory durable, after a create or rename in it. */
export type DirectorySync = (path: string) => Promise<void>;

/**
 * Directories below `top` that survive a crash of the machine. A directory is an entry in its parent, so
 * every parent has to be flushed. A directory that exists may still not be durable, because another process
 * may have created it without flushing it yet. The directories that this process flushed are remembered, at
 * most 257 per algorithm.
 */
export class DurableDirectories {
  private readonly durable = new Set<string>();

  constructor(
    private readonly top: string,
    private readonly sync: DirectorySync,
  ) {}

  /**
   * Creates `leaf` and its missing parents. Not durable yet. Directories directly below `top` are not
   * created: they exist since the storage was prepared, and are missing only if the disk is not mounted.
   *
   * @throws StorageIdentityError if one of those is missing; otherwise the system's error.
   */
  async make(leaf: string): Promise<void> {
    if (dirname(leaf) === this.top) return this.expectExists(leaf);
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

  private async expectExists(path: string): Promise<void> {
    try {
      await lstat(path);
    } catch (cause) {
      if (!isMissing(cause)) throw cause;
      const message = `the storage directory ${this.top} has no ${path}: check that its disk is mounted`;
      throw new StorageIdentityError(message, { cause });
    }
  }

  /** Makes the entries of `leaf` and the path from `top` to it durable. */
  async flush(leaf: string): Promise<void> {
    const unflushed: string[] = [];
    for (let directory = leaf; directory !== this.top; directory = dirname(directory)) {
      if (!this.durable.has(directory)) {
        unflushed.push(directory);
      }
    }
    await Promise.all([leaf, ...unflushed.map(dirname)].map(this.sync));
    // Leaves are not remembered: there is one per blob.
    unflushed.filter((directory) => directory !== leaf).forEach((directory) => this.durable.add(directory));
  }

  /** `path` had been removed, so it and everything below it is not durable any more. */
  private forget(path: string): void {
    for (const directory of this.durable) {
      if (directory === path || directory.startsWith(path + sep)) {
        this.durable.delete(directory);
      }
    }
  }
}
