import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { StorageError } from '../../storage.errors.js';
import { storageErrorOf } from './filesystem.errors.js';

/** Reads of 64 KiB, the default of streams, halve the throughput; reads of 1 MiB gain nothing more (measured). */
export const READ_BYTES = 512 * 1024;

/** What the stream needs of a file. */
export type ReadableFile = Pick<FileHandle, 'close'> & {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
};

/**
 * The bytes of a file from `start` up to but not including `end`. Owns the handle: it is closed at the end and when
 * the stream is destroyed. A file that turns out to be shorter fails the stream, since ending it would pass off a
 * part as the whole; that, and errors as {@link StorageError}s, are why this isn't `createReadStream`.
 */
export class FileReadable extends Readable {
  constructor(
    private readonly file: ReadableFile,
    private position: number,
    private readonly end: number,
  ) {
    super({ highWaterMark: READ_BYTES });
  }

  override _read(): void {
    this.readNext().catch((error: unknown) => this.destroy(storageErrorOf(error, 'reading a file')));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // `close` waits for a read that is under way.
    this.file.close().then(
      () => callback(error),
      (closeError: unknown) => callback(error ?? storageErrorOf(closeError, 'closing a file')),
    );
  }

  private async readNext(): Promise<void> {
    const wanted = Math.min(READ_BYTES, this.end - this.position);
    if (wanted > 0) {
      // Not from the pool, which a big read would not fit, and not zeroed, since only what was read is passed on.
      const buffer = Buffer.allocUnsafeSlow(wanted);
      const { bytesRead } = await this.file.read(buffer, 0, wanted, this.position);
      if (bytesRead === 0) {
        throw new StorageError('a file is shorter than it was when it was opened');
      }
      this.position += bytesRead;
      this.push(buffer.subarray(0, bytesRead));
    }
    if (this.position === this.end) {
      this.push(null);
    }
  }
}
