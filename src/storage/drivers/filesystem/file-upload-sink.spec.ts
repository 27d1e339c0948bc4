import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { StorageError, StorageFullError } from '../../storage.errors.js';
import { UploadSegments } from '../upload-segments.js';
import { FileUploadSink, type SinkFile } from './file-upload-sink.js';
import { WRITE_BACK_BYTES } from './write-back.js';

const failure = (code: string): Error => Object.assign(new Error(code), { code });

const endingAt = (sizeBytes: number): UploadSegments => UploadSegments.first('id').grownTo(sizeBytes);

describe('FileUploadSink', () => {
  it('continues after a short write', async () => {
    const file = new StubbornFile(7);
    const sink = new FileUploadSink(file, endingAt(3), undefined);
    const content = randomBytes(100);
    await sink.write(content.subarray(0, 50));
    await sink.write(content.subarray(50));
    expect(await sink.flush()).toEqual({ sizeBytes: 103 });
    expect(file.bytes.subarray(3, 103).equals(content)).toBe(true);
    expect(file.writes).toBe(16);
  });

  it('fails when the file accepts no bytes', async () => {
    const sink = new FileUploadSink(new StubbornFile(0), endingAt(0), undefined);
    await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
  });

  it.each(['ENOSPC', 'EDQUOT'])('reports a full disk on %s, with its cause', async (code) => {
    const file = new StubbornFile(7);
    file.syncFailure = failure(code);
    const error = new FileUploadSink(file, endingAt(0), undefined).flush();
    await expect(error).rejects.toBeInstanceOf(StorageFullError);
    await expect(error).rejects.toMatchObject({ cause: { code } });
  });

  it('acknowledges nothing after a failed flush, even if the next one would succeed', async () => {
    const file = new StubbornFile(7);
    const sink = new FileUploadSink(file, endingAt(0), undefined);
    await sink.write(Buffer.of(1));
    file.syncFailure = failure('EIO');
    await expect(sink.flush()).rejects.toMatchObject({ name: 'StorageError', cause: { code: 'EIO' } });
    file.syncFailure = undefined;
    await expect(sink.flush()).rejects.toBeInstanceOf(StorageError);
    await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
    expect(file.syncs).toBe(1);
  });

  it('acknowledges nothing if the entry of a new file is not durable', async () => {
    const sink = new FileUploadSink(new StubbornFile(7), endingAt(0), () => Promise.reject(failure('EIO')));
    await expect(sink.flush()).rejects.toBeInstanceOf(StorageError);
  });

  it('acknowledges nothing after two concurrent calls', async () => {
    const sink = new FileUploadSink(new StubbornFile(7), endingAt(0), undefined);
    const outcomes = await Promise.allSettled([sink.write(randomBytes(20)), sink.write(randomBytes(20))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await expect(sink.flush()).rejects.toBeInstanceOf(StorageError);
  });

  it('writes back before the flush, without waiting', async () => {
    const file = new SwallowingFile();
    const sink = new FileUploadSink(file, endingAt(0), undefined);
    const piece = Buffer.alloc(WRITE_BACK_BYTES / 2);
    for (let n = 0; n < 5; n += 1) await sink.write(piece);
    expect(file.syncs.length).toBe(1);
    const flushed = sink.flush();
    await turn();
    // The write-back does not cover later writes, so the flush syncs again after it.
    expect(file.syncs.length).toBe(1);
    file.syncs[0]?.resolve();
    await turn();
    file.syncs[1]?.resolve();
    expect(await flushed).toEqual({ sizeBytes: 5 * piece.length });
    expect(file.syncs.length).toBe(2);
  });

  it('acknowledges nothing after a failed write-back, even if a flush would succeed', async () => {
    const file = new SwallowingFile();
    const sink = new FileUploadSink(file, endingAt(0), undefined);
    await sink.write(Buffer.alloc(WRITE_BACK_BYTES));
    file.syncs[0]?.reject(failure('EIO'));
    await turn();
    await expect(sink.flush()).rejects.toMatchObject({ name: 'StorageError', cause: { code: 'EIO' } });
    await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
    expect(file.syncs.length).toBe(1);
  });

  it('writes back one file at a time', async () => {
    const files = [new SwallowingFile(), new SwallowingFile()];
    const [one, other] = files.map((file) => new FileUploadSink(file, endingAt(0), undefined));
    await one?.write(Buffer.alloc(WRITE_BACK_BYTES));
    await other?.write(Buffer.alloc(WRITE_BACK_BYTES));
    expect(files.map(({ syncs }) => syncs.length)).toEqual([1, 0]);
    files[0]?.syncs[0]?.resolve();
    await turn();
    await other?.write(Buffer.of(1));
    expect(files.map(({ syncs }) => syncs.length)).toEqual([1, 1]);
    files[1]?.syncs[0]?.resolve();
    await turn();
  });

  it('closes once, and never rejects', async () => {
    const file = new StubbornFile(7);
    file.closeFailure = failure('EIO');
    const sink = new FileUploadSink(file, endingAt(0), undefined);
    await Promise.all([sink.close(), sink.close()]);
    await sink.close();
    expect(file.closes).toBe(1);
  });
});

/** A file whose writes succeed at once and whose syncs the test ends. */
class SwallowingFile implements SinkFile {
  readonly syncs: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  write(_chunk: Uint8Array, _offset: number, length: number): Promise<{ bytesWritten: number }> {
    return Promise.resolve({ bytesWritten: length });
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => this.syncs.push({ resolve, reject }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A file that writes at most this many bytes per call. */
class StubbornFile implements SinkFile {
  readonly bytes = Buffer.alloc(1000);
  writes = 0;
  syncs = 0;
  closes = 0;
  syncFailure: Error | undefined;
  closeFailure: Error | undefined;

  constructor(private readonly most: number) {}

  write(
    chunk: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }> {
    this.writes += 1;
    const bytesWritten = Math.min(length, this.most);
    this.bytes.set(chunk.subarray(offset, offset + bytesWritten), position);
    return Promise.resolve({ bytesWritten });
  }

  datasync(): Promise<void> {
    this.syncs += 1;
    return this.syncFailure === undefined ? Promise.resolve() : Promise.reject(this.syncFailure);
  }

  close(): Promise<void> {
    this.closes += 1;
    return this.closeFailure === undefined ? Promise.resolve() : Promise.reject(this.closeFailure);
  }
}
