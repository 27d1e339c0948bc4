import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DriverUploadState, StorageDriver } from '../../src/storage/storage-driver.js';
import {
  InvalidObjectKeyError,
  ObjectNotFoundError,
  StorageError,
  UploadStateError,
} from '../../src/storage/storage.errors.js';
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
  type StorageDriverHarness,
  stored,
  uploaded,
  viaJson,
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

  it('finishes an upload that was opened, but never written to nor flushed, as the empty object', async () => {
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

  it('gives the buffer back when a write settles', async () => {
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

  it('refuses a second call while one is under way, and never mixes their bytes', async () => {
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

  it('closes a sink twice, after use, and refuses writes to it', async () => {
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    await sink.close();
    await sink.close();
    await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
    await expect(sink.flush()).rejects.toBeInstanceOf(StorageError);
    expect(await harness().openHandles()).toBe(0);
  });

  it('takes a close in the middle of a write', async () => {
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

  it('refuses an upload id that is none', async () => {
    const state = await driver().createUpload(randomUUID());
    await expect(readUpload(driver(), { id: '../x', state }, 0)).rejects.toBeInstanceOf(
      InvalidObjectKeyError,
    );
  });

  it('rejects with the reason when its signal is aborted already', async () => {
    const reason = new Error('the client left');
    const upload = await uploaded(driver(), randomBytes(100));
    const reading = readUpload(driver(), upload, 100, { signal: AbortSignal.abort(reason) });
    await expect(reading).rejects.toBe(reason);
    expect(await harness().openHandles()).toBe(0);
  });
}

export function describeResuming({ driver, harness }: Context): void {
  it('resumes at the recorded offset, many times', async () => {
    const chunks = Array.from({ length: 20 }, () => randomBytes(12_345));
    const content = Buffer.concat(chunks);
    let upload = await begin(driver());
    let offset = 0;
    for (const chunk of chunks) {
      upload = { ...upload, state: await append(driver(), upload, offset, [chunk]) };
      offset += chunk.length;
    }
    const key = await driver().finishUpload(upload, digest(content), content.length);
    expectBytes(await readAll(driver(), key), content);
  });

  it('resumes in another instance, from a state that has been through JSON', async () => {
    const content = randomBytes(300_000);
    const upload = await begin(driver());
    const first = await append(driver(), upload, 0, [content.subarray(0, 100_001)]);
    const other = await harness().reopen();
    const second = await append(other, { id: upload.id, state: viaJson(first) }, 100_001, [
      content.subarray(100_001, 200_002),
    ]);
    const third = await append(driver(), { id: upload.id, state: viaJson(second) }, 200_002, [
      content.subarray(200_002),
    ]);
    const last = await harness().reopen();
    const key = await last.finishUpload(
      { id: upload.id, state: viaJson(third) },
      digest(content),
      content.length,
    );
    expectBytes(await readAll(driver(), key), content);
  });

  it('flushes several times through one sink, and each state can be resumed', async () => {
    const content = randomBytes(30_000);
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    await sink.write(content.subarray(0, 10_000));
    const first = await sink.flush();
    await sink.write(content.subarray(10_000, 20_000));
    const recorded = await sink.flush();
    await sink.write(randomBytes(5_000));
    await sink.flush();
    await sink.close();
    expect(first).not.toEqual(recorded);
    const other = await harness().reopen();
    const state = await append(other, { ...upload, state: viaJson(recorded) }, 20_000, [
      content.subarray(20_000),
    ]);
    const key = await other.finishUpload({ ...upload, state }, digest(content), 30_000);
    expectBytes(await readAll(driver(), key), content);
  });

  it('drops bytes that were written but not flushed', async () => {
    const content = randomBytes(20_000);
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    await sink.write(content.subarray(0, 10_000));
    const recorded = await sink.flush();
    await sink.write(randomBytes(50_000));
    await sink.close();
    const other = await harness().reopen();
    const state = await append(other, { ...upload, state: recorded }, 10_000, [content.subarray(10_000)]);
    const key = await other.finishUpload({ ...upload, state }, digest(content), 20_000);
    expectBytes(await readAll(driver(), key), content);
  });

  it('leaves bytes past the recorded size out of the object', async () => {
    const upload = await begin(driver());
    const content = randomBytes(10_000);
    const state = await append(driver(), upload, 0, [content]);
    const sink = await driver().openUpload({ ...upload, state }, 10_000);
    await sink.write(randomBytes(5_000));
    await sink.flush();
    await sink.close();
    const key = await driver().finishUpload({ ...upload, state }, digest(content), 10_000);
    expectBytes(await readAll(driver(), key), content);
  });

  it('starts again at 0 from the first state', async () => {
    const upload = await begin(driver());
    await append(driver(), upload, 0, [randomBytes(10_000)]);
    const content = randomBytes(99);
    const state = await append(driver(), upload, 0, [content]);
    const key = await driver().finishUpload({ ...upload, state }, digest(content), 99);
    expectBytes(await readAll(driver(), key), content);
  });

  it.each([0, 999, 1001])('refuses offset %d with a state recorded at 1000', async (offset) => {
    const content = randomBytes(1000);
    const upload = await begin(driver());
    const flushed = { ...upload, state: await append(driver(), upload, 0, [content]) };
    await expect(driver().openUpload(flushed, offset)).rejects.toBeInstanceOf(UploadStateError);
    const key = await driver().finishUpload(flushed, digest(content), 1000);
    expectBytes(await readAll(driver(), key), content);
    expect(await harness().openHandles()).toBe(0);
  });

  it.each<[string, DriverUploadState]>([
    ['empty', {}],
    ['of strings', { sizeBytes: '10', multipartId: '' }],
    ['of nonsense', { sizeBytes: -1, parts: 'no' }],
  ])('refuses an invalid state: %s', async (_, state) => {
    await expect(driver().openUpload({ id: randomUUID(), state }, 0)).rejects.toBeInstanceOf(
      UploadStateError,
    );
  });

  it('gives the right object for any schedule of chunks, flushes and restarts', async () => {
    const step = fc.record({
      size: fc.integer({ min: 0, max: 40_000 }),
      then: fc.constantFrom('continue', 'flush', 'lose', 'restart'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await playSchedule(driver(), harness(), steps);
      }),
      { numRuns: 25 },
    );
  });
}

/** Does the steps against a model: the bytes that were recorded. */
async function playSchedule(
  first: StorageDriver,
  harness: StorageDriverHarness,
  steps: { size: number; then: string }[],
): Promise<void> {
  let current = first;
  let upload = await begin(current);
  let recorded = Buffer.of();
  let pending = Buffer.of();
  let sink = await current.openUpload(upload, 0);
  const record = async (): Promise<void> => {
    upload = { ...upload, state: viaJson(await sink.flush()) };
    recorded = Buffer.concat([recorded, pending]);
    pending = Buffer.of();
  };
  for (const { size, then } of steps) {
    const chunk = randomBytes(size);
    await sink.write(chunk);
    pending = Buffer.concat([pending, chunk]);
    if (then === 'flush') await record();
    if (then === 'lose' || then === 'restart') {
      await sink.close();
      pending = Buffer.of();
      current = then === 'restart' ? await harness.reopen() : current;
      sink = await current.openUpload(upload, recorded.length);
    }
  }
  await record();
  await sink.close();
  const key = await current.finishUpload(upload, digest(recorded), recorded.length);
  expectBytes(await readAll(first, key), recorded);
}

export function describeFinishing({ driver, harness }: Context): void {
  it('returns the same key again, in the same and in another instance', async () => {
    const content = randomBytes(5000);
    const upload = await uploaded(driver(), content);
    const key = await driver().finishUpload(upload, digest(content), 5000);
    expect(await driver().finishUpload(upload, digest(content), 5000)).toBe(key);
    const other = await harness().reopen();
    expect(await other.finishUpload(upload, digest(content), 5000)).toBe(key);
    expectBytes(await readAll(other, key), content);
    expect(await listed(other, '')).toEqual([key]);
  });

  it('tells the key of an object before, while and after it exists', async () => {
    const content = randomBytes(5000);
    const started = await begin(driver());
    const expected = driver().objectKeyOf(started, digest(content));
    const upload = { ...started, state: await append(driver(), started, 0, [content]) };
    expect(driver().objectKeyOf(upload, digest(content))).toBe(expected);
    expect(await driver().finishUpload(upload, digest(content), 5000)).toBe(expected);
    await driver().delete(expected);
    expect((await harness().reopen()).objectKeyOf(upload, digest(content))).toBe(expected);
  });

  it('returns the same key to all concurrent finishes', async () => {
    const content = randomBytes(5000);
    const upload = await uploaded(driver(), content);
    const other = await harness().reopen();
    const keys = await Promise.all(
      [driver(), other, driver(), other, driver()].map((each) =>
        each.finishUpload(upload, digest(content), 5000),
      ),
    );
    expect(new Set(keys).size).toBe(1);
    expectBytes(await readAll(driver(), keys[0]!), content);
  });

  it.each([0, 4999, 5001, 5_000_000])(
    'refuses %d bytes where 5000 are recorded, and keeps them',
    async (size) => {
      const content = randomBytes(5000);
      const upload = await uploaded(driver(), content);
      await expect(driver().finishUpload(upload, digest(content), size)).rejects.toBeInstanceOf(
        UploadStateError,
      );
      expect(await listed(driver(), '')).toEqual([]);
      const key = await driver().finishUpload(upload, digest(content), 5000);
      expectBytes(await readAll(driver(), key), content);
    },
  );

  it('gives two uploads of the same content two keys, and deleting one leaves the other', async () => {
    const content = randomBytes(5000);
    const first = await stored(driver(), content);
    const second = await stored(driver(), content);
    expect(first).not.toBe(second);
    await driver().delete(first);
    await expect(driver().stat(first)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expectBytes(await readAll(driver(), second), content);
    expect(await listed(driver(), '')).toEqual([second]);
  });

  it('finishes while another upload of the same content is deleted', async () => {
    const content = randomBytes(100);
    for (let round = 0; round < 20; round += 1) {
      const old = await stored(driver(), content);
      const upload = await uploaded(driver(), content);
      const [key] = await Promise.all([
        driver().finishUpload(upload, digest(content), 100),
        driver().delete(old),
      ]);
      expectBytes(await readAll(driver(), key), content);
    }
  });

  it('takes many uploads at once without mixing them', async () => {
    const contents = Array.from({ length: 12 }, (_, index) => Buffer.alloc(50_000 + index, index));
    const keys = await Promise.all(contents.map((content) => stored(driver(), content)));
    for (const [index, key] of keys.entries()) {
      expectBytes(await readAll(driver(), key), contents[index]!);
    }
  });
}

export function describeAborting({ driver, harness }: Context): void {
  it('forgets an upload, however often it is asked to', async () => {
    const upload = await uploaded(driver(), randomBytes(5000));
    await driver().abortUpload(upload);
    await driver().abortUpload(upload);
    await (await harness().reopen()).abortUpload(upload);
    await expect(driver().openUpload(upload, 5000)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver().finishUpload(upload, digest(Buffer.of()), 5000)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('succeeds for an upload that was only created, and for one that never was', async () => {
    await driver().abortUpload(await begin(driver()));
    await driver().abortUpload({ id: randomUUID(), state: await driver().createUpload(randomUUID()) });
  });

  it('does not touch a finished object', async () => {
    const content = randomBytes(5000);
    const upload = await uploaded(driver(), content);
    const key = await driver().finishUpload(upload, digest(content), 5000);
    await driver().abortUpload(upload);
    expectBytes(await readAll(driver(), key), content);
  });

  it('does not touch another upload', async () => {
    const content = randomBytes(5000);
    const [one, other] = [await uploaded(driver(), content), await uploaded(driver(), content)];
    await driver().abortUpload(one);
    expectBytes(await readAll(driver(), await driver().finishUpload(other, digest(content), 5000)), content);
  });
}
