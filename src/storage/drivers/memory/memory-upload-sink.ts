import type { DriverUploadState, UploadSink } from '../../storage-driver.js';
import { StorageError, UploadStateError } from '../../storage.errors.js';
import type { UploadSegments } from '../upload-segments.js';
import { type MemoryMedium, totalBytes } from './memory-medium.js';

/** The writable end of an upload: copies chunks, and adds them to the medium on a flush. */
export class MemoryUploadSink implements UploadSink {
  private unflushed: Buffer[] = [];
  private usable = true;

  constructor(
    private readonly medium: MemoryMedium,
    private flushed: UploadSegments,
  ) {}

  write(chunk: Uint8Array): Promise<void> {
    return this.attempt(() => {
      this.medium.reserve(chunk.byteLength);
      this.unflushed.push(Buffer.from(chunk));
    });
  }

  flush(): Promise<DriverUploadState> {
    return this.attempt(() => {
      const { name, startBytes, endBytes } = this.flushed.open;
      const segment = this.medium.segments.get(name);
      if (segment === undefined || totalBytes(segment.chunks) < endBytes - startBytes) {
        throw new UploadStateError(`upload ${this.flushed.id} was finished or aborted during a write`);
      }
      // Joined, because a million one-byte chunks must not stay a million buffers.
      const joined = Buffer.concat(this.unflushed);
      this.unflushed = [];
      this.medium.extendSegment(name, endBytes - startBytes, joined);
      this.flushed = this.flushed.grownTo(endBytes + joined.length);
      return this.flushed.toState();
    });
  }

  close(): Promise<undefined> {
    this.usable = false;
    this.medium.release(totalBytes(this.unflushed));
    this.unflushed = [];
    return Promise.resolve(undefined);
  }

  private attempt<T>(work: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (!this.usable) {
        throw new StorageError('the sink is closed or has failed');
      }
      this.usable = false;
      resolve(work());
      this.usable = true;
    });
  }
}
