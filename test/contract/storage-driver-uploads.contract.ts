import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import { InvalidObjectKeyError, StorageError, UploadStateError } from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  type Context,
  digest,
  expectBytes,
  listed,
  MIB,
  readAll,
  readUpload,
  uploaded,
} from './storage-driver.harness.js';

export function describeOneUpload({ driver, harness }: Context): void {
  it.each([
    ['no bytes', []],
    ['one byte', [1]],
    ['one chunk', [1000]],
    ['chunks of one byte', Array<number>(300).fill(1)],
    ['many small chunks', Array<number>(500).fill(777)],
    ['an empty chunk between others', [10, 0, 10]],
    ['one chunk of 8 MiB', [8 * MIB]],
    ['chunks of odd sizes around powers of two', [65535, 65536, 65537, 5 * MIB - 1, 1]],
  ])('returns what was written: %s', async (_, sizes) => {
    const chunks = sizes.map((size) => randomBytes(size));
    const content = Buffer.concat(chunks);
    const upload = await begin(driver());
    const state = await append(driver(), upload, 0, chunks);
    const key = await driver().finishUpload({ ...upload, state }, digest(content), content.length);
    expect(await driver().stat(key)).toMatchObject({ key, sizeBytes: content.length });
    expectBytes(await readAll(driver(), key), content);
  });

  it('finishes an upload that was never opened as the empty object', async () => {
    const upload = await begin(driver());
    const key = await driver().finishUpload(upload, digest(Buffer.of()), 0);
    expect((await driver().stat(key)).sizeBytes).toBe(0);
    expect(await driver().finishUpload(upload, digest(Buffer.of()), 0)).toBe(key);
  });

  it('finishes an upload that was opened, but never written, as the empty object', async () => {
    const upload = await begin(driver());
    await (await driver().openUpload(upload, 0)).close();
    const key = await driver().finishUpload(upload, digest(Buffer.of()), 0);
    expectBytes(await readAll(driver(), key), Buffer.of());
  });

  it('makes nothing visible before it is finished', async () => {
    const upload = await begin(driver());
    const content = randomBytes(1000);
    const state = await append(driver(), upload, 0, [content]);
    expect(await listed(driver(), '')).toEqual([]);
    const key = await driver().finishUpload({ ...upload, state }, digest(content), 1000);
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it('allows reuse of the buffer after a write resolves', async () => {
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    const scratch = Buffer.alloc(70_000);
    const expected: Buffer[] = [];
    for (let round = 0; round < 20; round += 1) {
      scratch.fill(round);
      expected.push(Buffer.from(scratch));
      await sink.write(scratch);
      scratch.fill(255);
    }
    const state = await sink.flush();
    await sink.close();
    const content = Buffer.concat(expected);
    const key = await driver().finishUpload({ ...upload, state }, digest(content), content.length);
    expectBytes(await readAll(driver(), key), content);
  });

  it('refuses a concurrent write, or keeps the bytes of both apart', async () => {
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    const outcomes = await Promise.allSettled([
      sink.write(Buffer.alloc(MIB, 1)),
      sink.write(Buffer.alloc(MIB, 2)),
    ]);
    await sink.close();
    if (outcomes[1].status === 'rejected') {
      expect(outcomes[1].reason).toBeInstanceOf(StorageError);
    }
    const state = await append(driver(), upload, 0, [Buffer.from('good')]);
    const key = await driver().finishUpload({ ...upload, state }, digest(Buffer.from('good')), 4);
    expectBytes(await readAll(driver(), key), Buffer.from('good'));
  });

  it('allows two closes of a sink, and refuses writes after them', async () => {
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    await sink.close();
    await sink.close();
    await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
    await expect(sink.flush()).rejects.toBeInstanceOf(StorageError);
    expect(await harness().openHandles()).toBe(0);
  });

  it('allows a close during a write', async () => {
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    const writing = Promise.allSettled([sink.write(Buffer.alloc(8 * MIB))]);
    await sink.close();
    await writing;
    expect(await harness().openHandles()).toBe(0);
  });
}

export function describeReadingUploads({ driver, harness }: Context): void {
  it('reads the flushed bytes of an unfinished upload', async () => {
    const upload = await begin(driver());
    const content = randomBytes(100_000);
    const state = await append(driver(), upload, 0, [content.subarray(0, 60_000), content.subarray(60_000)]);
    const flushed = { ...upload, state };
    expectBytes(await buffer(await readUpload(driver(), flushed, 100_000)), content);
    expectBytes(await buffer(await readUpload(driver(), flushed, 70_000)), content.subarray(0, 70_000));
    expectBytes(await buffer(await readUpload(driver(), flushed, 0)), Buffer.of());
    await expect(readUpload(driver(), flushed, 100_001)).rejects.toBeInstanceOf(UploadStateError);
    expectBytes(await buffer(await readUpload(driver(), await begin(driver()), 0)), Buffer.of());
  });

  it('refuses an invalid upload id', async () => {
    const state = await driver().createUpload(randomUUID());
    await expect(readUpload(driver(), { id: '../x', state }, 0)).rejects.toBeInstanceOf(
      InvalidObjectKeyError,
    );
  });

  it('rejects with the reason if its signal is already aborted', async () => {
    const reason = new Error('the client left');
    const upload = await uploaded(driver(), randomBytes(100));
    const reading = readUpload(driver(), upload, 100, { signal: AbortSignal.abort(reason) });
    await expect(reading).rejects.toBe(reason);
    expect(await harness().openHandles()).toBe(0);
  });
}
