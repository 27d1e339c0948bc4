import { randomBytes, randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type ObjectKey, parseObjectKey } from '../../src/storage/object-key.js';
import { canOpen, type OpeningStorageDriver, type OpenObject } from '../../src/storage/driver-abilities.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import {
  InvalidObjectKeyError,
  ObjectNotFoundError,
  StorageError,
} from '../../src/storage/storage.errors.js';
import { type Context, expectBytes, MIB, stored, until } from './storage-driver.harness.js';

/** The executable form of `src/storage/opening-storage-driver.ts`. */
export function describeOpening(context: Context): void {
  describeOpenObjects(context);
  describeClosing(context);
  describeWhatOpensNothing(context);
}

/**
 * Those that can't are known by their harness, and not by looking: a driver that lost the ability would pass.
 */
export function opening(driver: StorageDriver): OpeningStorageDriver {
  if (!canOpen(driver)) throw new Error('the driver opens no objects');
  return driver;
}

async function span(object: OpenObject, start: number, end: number): Promise<Buffer> {
  const into = Buffer.alloc(end - start);
  await object.read(into, start);
  return into;
}

function describeOpenObjects({ driver, harness }: Context): void {
  it('reads any range of an open object', async () => {
    const content = randomBytes(1_300_000);
    const object = await opening(driver()).openObject(await stored(driver(), content, 100_000));
    expect(object.sizeBytes).toBe(content.length);
    const position = fc.oneof(
      fc.integer({ min: 0, max: content.length }),
      fc.constantFrom(0, 1, 99_999, 100_000, 524_287, 524_288, 1_048_576, content.length),
    );
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        expectBytes(await span(object, start, end), content.subarray(start, end));
      }),
      { numRuns: 40 },
    );
    await object.close();
    expect(await harness().openHandles()).toBe(0);
  });

  it('writes only into the given part of the buffer', async () => {
    const content = randomBytes(1000);
    const object = await opening(driver()).openObject(await stored(driver(), content));
    const around = Buffer.alloc(300, 'x');
    await object.read(around.subarray(100, 200), 500);
    await object.close();
    const expected = Buffer.concat([
      Buffer.alloc(100, 'x'),
      content.subarray(500, 600),
      Buffer.alloc(100, 'x'),
    ]);
    expectBytes(around, expected);
  });

  it('opens the empty object', async () => {
    const object = await opening(driver()).openObject(await stored(driver(), Buffer.of()));
    expect(object.sizeBytes).toBe(0);
    await expect(span(object, 0, 1)).rejects.toBeInstanceOf(StorageError);
    await object.close();
  });

  it.each([
    [0, 11],
    [9, 11],
    [10, 11],
    [100, 101],
  ])('fails to read bytes %d to %d of ten', async (start, end) => {
    const object = await opening(driver()).openObject(await stored(driver(), randomBytes(10)));
    await expect(span(object, start, end)).rejects.toBeInstanceOf(StorageError);
    expectBytes(await span(object, 10, 10), Buffer.of());
    await object.close();
    expect(await harness().openHandles()).toBe(0);
  });

  it('serves many readers of one or many open objects', async () => {
    const content = randomBytes(3 * MIB);
    const key = await stored(driver(), content);
    const objects = await Promise.all(Array.from({ length: 8 }, () => opening(driver()).openObject(key)));
    const reads = objects.flatMap((object, reader) =>
      Array.from({ length: 8 }, async (_, part) => {
        const start = reader * 1000 + part * 300_000;
        expectBytes(await span(object, start, start + 300_000), content.subarray(start, start + 300_000));
      }),
    );
    await Promise.all(reads);
    await Promise.all(objects.map((object) => object.close()));
    expect(await harness().openHandles()).toBe(0);
  });

  it('continues with the same bytes, or fails, if the object is deleted meanwhile', async () => {
    const content = randomBytes(10_000);
    const key = await stored(driver(), content);
    const object = await opening(driver()).openObject(key);
    await driver().delete(key);
    const outcome = await span(object, 0, content.length).catch((error: unknown) => error);
    if (Buffer.isBuffer(outcome)) expectBytes(outcome, content);
    else expect(outcome).toBeInstanceOf(StorageError);
    await object.close();
    await expect(opening(driver()).openObject(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(await harness().openHandles()).toBe(0);
  });
}

function describeClosing({ driver, harness }: Context): void {
  it('closes after the current reads are done', async () => {
    const content = randomBytes(8 * MIB);
    const object = await opening(driver()).openObject(await stored(driver(), content));
    const settled: string[] = [];
    const reads = [0, 1, 2, 3].map(async (part) => {
      const bytes = await span(object, part * 2 * MIB, (part + 1) * 2 * MIB);
      settled.push(`read ${part}`);
      return bytes;
    });
    await Promise.all([object.close().then(() => settled.push('closed')), ...reads]);
    expect(settled.at(-1)).toBe('closed');
    expectBytes(Buffer.concat(await Promise.all(reads)), content);
    expect(await harness().openHandles()).toBe(0);
  });

  it('reads nothing after it was closed', async () => {
    const object = await opening(driver()).openObject(await stored(driver(), randomBytes(10)));
    await object.close();
    await expect(span(object, 0, 10)).rejects.toBeInstanceOf(StorageError);
  });

  it('stays open when the signal of its opening is aborted', async () => {
    const controller = new AbortController();
    const content = randomBytes(10);
    const key = await stored(driver(), content);
    const object = await opening(driver()).openObject(key, { signal: controller.signal });
    controller.abort();
    expectBytes(await span(object, 0, 10), content);
    await object.close();
  });
}

function describeWhatOpensNothing({ driver, harness }: Context): void {
  it('has no object at a missing key, or below or above an object', async () => {
    const key = await stored(driver(), randomBytes(10));
    const missing = [`${key}/more`, key.slice(0, key.lastIndexOf('/')), 'blobs', 'a', `${'y'.repeat(300)}/z`];
    for (const text of [...missing, `blobs/sha256/ab/${'ab'.repeat(32)}/${randomUUID()}`]) {
      const open = opening(driver()).openObject(parseObjectKey(text));
      await expect(open).rejects.toBeInstanceOf(ObjectNotFoundError);
    }
    expect(await harness().openHandles()).toBe(0);
  });

  it.each(['', '..', '../../etc/passwd', '/etc/passwd', 'blobs/../x', 'blobs/x\0y', 'a'.repeat(1025)])(
    'refuses a key: %.20s',
    async (text) => {
      const open = opening(driver()).openObject(text as ObjectKey);
      await expect(open).rejects.toBeInstanceOf(InvalidObjectKeyError);
    },
  );

  it('rejects with the reason if its signal is already aborted', async () => {
    const reason = new Error('the client left');
    const key = await stored(driver(), randomBytes(10));
    const open = opening(driver()).openObject(key, { signal: AbortSignal.abort(reason) });
    await expect(open).rejects.toBe(reason);
    expect(await harness().openHandles()).toBe(0);
  });

  it('rejects with the reason when it is aborted, and releases its resources', async () => {
    const reason = new Error('the client left');
    const key = await stored(driver(), randomBytes(10));
    for (let round = 0; round < 20; round += 1) {
      const controller = new AbortController();
      const open = opening(driver()).openObject(key, { signal: controller.signal });
      controller.abort(reason);
      await expect(open).rejects.toBe(reason);
    }
    // When others have been opened, the aborted opens have ended, too.
    for (let round = 0; round < 20; round += 1) await (await opening(driver()).openObject(key)).close();
    await until(async () => (await harness().openHandles()) === 0);
  });
}
