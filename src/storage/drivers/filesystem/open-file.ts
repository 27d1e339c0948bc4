import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { OpenObject } from '../../driver-abilities.js';
import { StorageError } from '../../storage.errors.js';
import { translating } from './filesystem.errors.js';

/**
 * How files are opened that are read. Links aren't followed. A pipe, which is no object, is opened at once: to wait for
 * somebody who writes to it would hold a thread of the pool's few for ever.
 */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A file held open to be read at any position. */
export class OpenFile implements OpenObject {
  private constructor(
    private readonly file: FileHandle,
    readonly sizeBytes: number,
  ) {}

  /** Opens a file that is no link; what is no file has no size. Rejects with the system's error. */
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
    return translating('reading a file', async () => {
      for (let done = 0; done < buffer.byteLength;) {
        const { bytesRead } = await this.file.read(
          buffer,
          done,
          buffer.byteLength - done,
          positionBytes + done,
        );
        if (bytesRead === 0) throw new StorageError('a file is shorter than it was when it was opened');
        done += bytesRead;
      }
    });
  }

  async close(): Promise<void> {
    // `close` waits for a read that is under way. What it may report concerns nobody who only reads.
    await this.file.close().catch(() => undefined);
  }
}
