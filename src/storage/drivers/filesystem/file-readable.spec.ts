import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { StorageError } from '../../storage.errors.js';
import { FileReadable, READ_BYTES, type ReadableFile } from './file-readable.js';

describe('FileReadable', () => {
  it('continues after a short read, and closes the file at the end', async () => {
    const content = randomBytes(100);
    const file = new FakeFile(content, 7);
    expect((await buffer(new FileReadable(file, 10, 90))).equals(content.subarray(10, 90))).toBe(true);
    expect(file.closes).toBe(1);
  });

  it('fails instead of ending when the file became shorter', async () => {
    const file = new FakeFile(randomBytes(100), 1000);
    await expect(buffer(new FileReadable(file, 0, 101))).rejects.toBeInstanceOf(StorageError);
    expect(file.closes).toBe(1);
  });

  it('fails with a storage error when a read fails', async () => {
    const file = new FakeFile(randomBytes(100), 7);
    file.failure = Object.assign(new Error('EIO'), { code: 'EIO' });
    await expect(buffer(new FileReadable(file, 0, 100))).rejects.toMatchObject({
      name: 'StorageError',
      cause: { code: 'EIO' },
    });
    expect(file.closes).toBe(1);
  });

  it('reads no more than it needs, and stops under backpressure', async () => {
    const file = new FakeFile(Buffer.alloc(4 * READ_BYTES), READ_BYTES);
    const stream = new FileReadable(file, 0, 4 * READ_BYTES);
    await new Promise((resolve) => stream.once('readable', resolve));
    expect(file.reads).toBe(1);
    stream.destroy();
    const small = new FakeFile(Buffer.alloc(10), READ_BYTES);
    await buffer(new FileReadable(small, 0, 10));
    expect(small.reads).toBe(1);
  });

  it('never reads an empty file', async () => {
    const file = new FakeFile(Buffer.of(), 10);
    expect(await buffer(new FileReadable(file, 0, 0))).toHaveLength(0);
    expect([file.reads, file.closes]).toEqual([0, 1]);
  });
});

/** A file that reads at most this many bytes per call. */
class FakeFile implements ReadableFile {
  reads = 0;
  closes = 0;
  failure: Error | undefined;

  constructor(
    private readonly content: Buffer,
    private readonly most: number,
  ) {}

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    this.reads += 1;
    if (this.failure !== undefined) {
      return Promise.reject(this.failure);
    }
    const bytes = this.content.subarray(position, position + Math.min(length, this.most));
    into.set(bytes, offset);
    return Promise.resolve({ bytesRead: bytes.length });
  }

  close(): Promise<void> {
    this.closes += 1;
    return Promise.resolve();
  }
}
