import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { OpenObject } from '../../driver-abilities.js';
import { StorageError } from '../../storage.errors.js';
import { translateErrors } from './filesystem.errors.js';

/**
 * Flags for opening files to read. Links are not followed. O_NONBLOCK: opening a pipe would otherwise block a
 * thread of the pool until something writes to it.
 */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** An open file that can be read at any position. */
export class OpenFile implements OpenObject {
  private constructor(
    private readonly file: FileHandle,
    readonly sizeBytes: number,
  ) {}

  /** Returns undefined if `path` is not a regular file. Rejects with the system's error. */
  static async open(path: string): Promise<OpenFile | undefined> {
    const file = await open(path, READ_FLAGS);
    try {
      const stats = await file.stat();
      if (stats.isFile()) return new OpenFile(file, stats.size);
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return undefined;
  }

  read(buffer: Uint8Array, positionBytes: number): Promise<void> {
    return translateErrors('reading a file', async () => {
      for (let done = 0; done < buffer.byteLength;) {
        const { bytesRead } = await this.file.read(
          buffer,
          done,
          buffer.byteLength - done,
          positionBytes + done,
        );
        if (bytesRead === 0) throw new StorageError('a file became shorter after it was opened');
        done += bytesRead;
      }
    });
  }

  async close(): Promise<void> {
    // `close` waits for a read in progress. Its errors don't matter to a reader.
    await this.file.close().catch(() => undefined);
  }
}
