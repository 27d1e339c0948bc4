import type { FileHandle } from 'node:fs/promises';
import type { SinkFile } from './file-upload-sink.js';
import type { WriteThreads } from './write-threads.js';

/** Smaller pieces are one system call on Node's own thread pool. */
const MIN_SLICED_BYTES = 128 * 1024;

/** A file whose large writes are made in small system calls, see {@link WriteThreads}. */
export class SlicedFile implements SinkFile {
  /** Settles when no thread uses the descriptor. Never rejects. */
  private idle: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly file: FileHandle,
    private readonly threads: WriteThreads,
  ) {}

  async write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }> {
    if (length < MIN_SLICED_BYTES || !(bytes.buffer instanceof SharedArrayBuffer)) {
      return this.file.write(bytes, offset, length, position);
    }
    const written = this.threads.write(this.file.fd, bytes.subarray(offset, offset + length), position);
    this.idle = Promise.allSettled([this.idle, written]);
    await written;
    return { bytesWritten: length };
  }

  datasync(): Promise<void> {
    return this.file.datasync();
  }

  /** Waits for a write in progress: the number of a closed descriptor is soon another file's. */
  async close(): Promise<void> {
    await this.idle;
    await this.file.close();
  }
}
