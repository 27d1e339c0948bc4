import type { FileHandle } from 'node:fs/promises';
import type { DriverUploadState, UploadSink } from '../../storage-driver.js';
import { StorageError } from '../../storage.errors.js';
import type { UploadSegments } from '../upload-segments.js';
import { storageErrorOf } from './filesystem.errors.js';
import { WriteBack } from './write-back.js';

/** What the sink needs of a file. */
export type SinkFile = Pick<FileHandle, 'datasync' | 'close'> & {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>;
};

/**
 * The open end of an upload's last file. Writes are positional, at the offset in the upload, so a sink never depends on
 * where another one stands. Nothing here truncates: what a sink that was shut out does late never reaches below the
 * offset at which it was opened.
 *
 * After a failed flush nothing is tried again: Linux may have dropped the pages that it could not write, and a second
 * fsync would report success without them. The next `openUpload` cuts them off and they are sent again.
 */
export class FileUploadSink implements UploadSink {
  private busy = false;
  private broken = false;
  private closing: Promise<void> | undefined;

  private readonly writeBack: WriteBack;
  private positionBytes: number;

  /**
   * Goes on where `segments` end; `file` is the open one. `syncEntry` makes the file's directory entry durable; only
   * the first flush of a new file needs it.
   */
  constructor(
    private readonly file: SinkFile,
    private readonly segments: UploadSegments,
    private syncEntry: (() => Promise<void>) | undefined,
  ) {
    this.positionBytes = segments.sizeBytes;
    this.writeBack = new WriteBack(file);
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.alone('writing an upload', async () => {
      for (let done = 0; done < chunk.byteLength;) {
        const { bytesWritten } = await this.file.write(
          chunk,
          done,
          chunk.byteLength - done,
          this.positionBytes,
        );
        if (bytesWritten === 0) {
          throw new StorageError('writing an upload: the file takes no more bytes');
        }
        done += bytesWritten;
        this.positionBytes += bytesWritten;
      }
      this.writeBack.written(chunk.byteLength);
    });
  }

  flush(): Promise<DriverUploadState> {
    return this.alone('flushing an upload', async () => {
      await this.writeBack.settled();
      await this.file.datasync();
      await this.syncEntry?.();
      this.syncEntry = undefined;
      return this.segments.grownTo(this.positionBytes).toState();
    });
  }

  async close(): Promise<undefined> {
    // Waits for a call that is under way. What closing may report concerns bytes that nobody acknowledged.
    this.closing ??= this.file.close().catch(() => undefined);
    await this.closing;
  }

  /** Two calls at once, or one after a failure, would leave a hole in the file: refused. */
  private async alone<T>(action: string, work: () => Promise<T>): Promise<T> {
    if (this.busy || this.broken || this.closing !== undefined) {
      this.broken = true;
      throw new StorageError(`${action}: the sink is busy, closed, or has failed before`);
    }
    this.busy = true;
    try {
      return await work();
    } catch (error) {
      this.broken = true;
      throw storageErrorOf(error, action);
    } finally {
      this.busy = false;
    }
  }
}
