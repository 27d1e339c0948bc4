import type { FileHandle } from 'node:fs/promises';
import type { DriverUploadState, UploadSink } from '../../storage-driver.js';
import { StorageError } from '../../storage.errors.js';
import type { UploadSegments } from '../upload-segments.js';
import { storageErrorOf } from './filesystem.errors.js';
import { WriteBack } from './write-back.js';

/** The part of `FileHandle` that the sink uses. */
export type SinkFile = Pick<FileHandle, 'datasync' | 'close'> & {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>;
};

/**
 * The writable end of an upload's last file. Writes are positional, at the offset in the upload, so sinks
 * don't depend on each other's file position. A sink never truncates: a fenced sink can't change bytes before
 * the offset at which it was opened.
 *
 * A failed flush is not retried: Linux may have dropped the pages that it could not write, and a second fsync
 * would report success without them. The next `openUpload` cuts them off, and the client sends them again.
 */
export class FileUploadSink implements UploadSink {
  private busy = false;
  private broken = false;
  private closing: Promise<void> | undefined;

  private readonly writeBack: WriteBack;
  private positionBytes: number;

  /**
   * @param file the file of the open segment.
   * @param segments the state to continue from.
   * @param syncEntry makes the file's directory entry durable. Only the first flush of a new file needs it.
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
    return this.exclusively('writing an upload', async () => {
      for (let done = 0; done < chunk.byteLength;) {
        const { bytesWritten } = await this.file.write(
          chunk,
          done,
          chunk.byteLength - done,
          this.positionBytes,
        );
        if (bytesWritten === 0) {
          throw new StorageError('writing an upload: the file accepts no more bytes');
        }
        done += bytesWritten;
        this.positionBytes += bytesWritten;
      }
      this.writeBack.written(chunk.byteLength);
    });
  }

  flush(): Promise<DriverUploadState> {
    return this.exclusively('flushing an upload', async () => {
      await this.writeBack.settled();
      await this.file.datasync();
      await this.syncEntry?.();
      this.syncEntry = undefined;
      return this.segments.grownTo(this.positionBytes).toState();
    });
  }

  async close(): Promise<undefined> {
    // Waits for a call in progress. Errors of closing concern unacknowledged bytes only.
    this.closing ??= this.file.close().catch(() => undefined);
    await this.closing;
  }

  /** Refuses concurrent calls and calls after a failure: they would leave a hole in the file. */
  private async exclusively<T>(action: string, work: () => Promise<T>): Promise<T> {
    if (this.busy || this.broken || this.closing !== undefined) {
      this.broken = true;
      throw new StorageError(`${action}: the sink is busy, closed or has failed`);
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
