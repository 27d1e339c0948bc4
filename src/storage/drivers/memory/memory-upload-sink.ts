import type { DriverUploadState, UploadSink } from '../../storage-driver.js';
import { StorageError, UploadStateError } from '../../storage.errors.js';
import { recordSize } from '../recorded-size.js';
import { type MemoryMedium, totalBytes } from './memory-medium.js';

/** The open end of an upload: keeps copies, and hands them to the medium when they are flushed. */
export class MemoryUploadSink implements UploadSink {
  private unflushed: Buffer[] = [];
  private usable = true;

  constructor(
    private readonly medium: MemoryMedium,
    private readonly id: string,
    private flushedBytes: number,
  ) {}

  write(chunk: Uint8Array): Promise<void> {
    return this.attempt(() => {
      this.medium.reserve(chunk.byteLength);
      this.unflushed.push(Buffer.from(chunk));
    });
  }

  flush(): Promise<DriverUploadState> {
    return this.attempt(() => {
      if (totalBytes(this.medium.uploads.get(this.id) ?? []) < this.flushedBytes) {
        throw new UploadStateError(`upload ${this.id} was finished or aborted while it was written`);
      }
      // Joined, so that a million chunks of a byte don't stay a million buffers.
      const joined = Buffer.concat(this.unflushed);
      this.unflushed = [];
      this.medium.truncateUpload(this.id, this.flushedBytes);
      this.medium.uploads.get(this.id)?.push(joined);
      this.flushedBytes += joined.length;
      return recordSize(this.flushedBytes);
    });
  }

  close(): Promise<void> {
    this.usable = false;
    this.medium.release(totalBytes(this.unflushed));
    this.unflushed = [];
    return Promise.resolve();
  }

  private attempt<T>(work: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (!this.usable) {
        throw new StorageError('the sink is closed, or has failed before');
      }
      this.usable = false;
      resolve(work());
      this.usable = true;
    });
  }
}
