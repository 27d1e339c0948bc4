import { randomBytes, randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DriverUploadState, StorageDriver } from '../../src/storage/storage-driver.js';
import { UploadStateError } from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  type Context,
  digest,
  expectBytes,
  readAll,
  type StorageDriverHarness,
  viaJson,
} from './storage-driver.harness.js';

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

  it('resumes in another instance, from a state that was stored as JSON', async () => {
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

  it('creates the right object for any schedule of chunks, flushes and restarts', async () => {
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

/** Runs the steps and compares the object with the recorded bytes. */
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
