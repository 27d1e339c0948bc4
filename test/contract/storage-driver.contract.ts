import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Digest } from '../../src/oci/digest.js';
import { CheckedStorageDriver } from '../../src/storage/checked-storage.driver.js';
import { type ObjectKey, parseObjectKey } from '../../src/storage/object-key.js';
import type {
  DriverUpload,
  DriverUploadState,
  IoOptions,
  ObjectStat,
  StorageDriver,
} from '../../src/storage/storage-driver.js';
import {
  InvalidObjectKeyError,
  ObjectNotFoundError,
  StorageError,
  UploadStateError,
} from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  closed,
  type Context,
  digest,
  expectBytes,
  letGo,
  listed,
  listedUploads,
  MIB,
  readAll,
  readUpload,
  type StorageDriverHarness,
  stored,
  until,
  uploaded,
  viaJson,
} from './storage-driver.harness.js';
import { describeFencing } from './storage-driver-fencing.contract.js';
import { describeOpening } from './storage-driver-opening.contract.js';

/** The executable form of the contract in `src/storage/storage-driver.ts`. */
export function describeStorageDriverContract(
  name: string,
  makeHarness: () => Promise<StorageDriverHarness>,
  { readsUploads = true, opensObjects = false }: { readsUploads?: boolean; opensObjects?: boolean } = {},
): void {
  describe(`storage driver contract: ${name}`, () => {
    let harness: StorageDriverHarness;
    let driver: StorageDriver;
    beforeEach(async () => {
      harness = checked(await makeHarness());
      driver = harness.driver;
    });
    afterEach(() => harness.dispose());

    const context: Context = { readsUploads, driver: () => driver, harness: () => harness };
    describe('one upload', () => describeOneUpload(context));
    describe('going on with an upload', () => describeResuming(context));
    describe('finishing', () => describeFinishing(context));
    describe('fencing', () => describeFencing(context));
    describe('aborting', () => describeAborting(context));
    describe('objects', () => describeObjects(context));
    describe('listing', () => describeListing(context));
    describe('reading', () => describeReading(context));
    describe('hostile names', () => describeHostileNames(context));
    describe('giving up', () => describeSignals(context));
    describe('boot', () => describeBoot(context));
    describe('identity', () => describeIdentity(context));
    if (readsUploads) describe('reading what is not finished', () => describeReadingUploads(context));
    if (opensObjects) describe('holding objects open', () => describeOpening(context));
    it('has the abilities that are declared, and no other', () => {
      expect(driver.abilities).toMatchObject({ readsUploads, opensObjects });
      const { openObject, readUpload, redirectUrl } = driver as CheckedStorageDriver;
      expect(openObject !== undefined).toBe(opensObjects);
      expect(readUpload !== undefined).toBe(readsUploads);
      expect(redirectUrl !== undefined).toBe(driver.abilities.redirects);
    });
  });
}

/** With the wrapper around its drivers that the product has around each. */
function checked(harness: StorageDriverHarness): StorageDriverHarness {
  return {
    driver: new CheckedStorageDriver(harness.driver),
    reopen: async () => new CheckedStorageDriver(await harness.reopen()),
    openHandles: () => harness.openHandles(),
    dispose: () => harness.dispose(),
  };
}

function describeOneUpload({ driver, harness }: Context): void {
  it.each([
    ['no bytes', []],
    ['one byte', [1]],
    ['one chunk', [1000]],
    ['chunks of one byte', Array<number>(300).fill(1)],
    ['many small chunks', Array<number>(500).fill(777)],
    ['an empty chunk between others', [10, 0, 10]],
    ['one chunk of 8 MiB', [8 * MIB]],
    ['chunks of odd sizes around powers of two', [65535, 65536, 65537, 5 * MIB - 1, 1]],
  ])('gives back what was written: %s', async (_, sizes) => {
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

function describeReadingUploads({ driver, harness }: Context): void {
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

function describeResuming({ driver, harness }: Context): void {
  it('goes on at the recorded offset, many times', async () => {
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

  it('goes on in another instance, from a state that has been through JSON', async () => {
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

  it('flushes several times through one sink, and each state can be gone on from', async () => {
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
  ])('refuses a state that no driver made: %s', async (_, state) => {
    await expect(driver().openUpload({ id: randomUUID(), state }, 0)).rejects.toBeInstanceOf(
      UploadStateError,
    );
  });

  it('gives the right object for any schedule of chunks, flushes and restarts', async () => {
    const step = fc.record({
      size: fc.integer({ min: 0, max: 40_000 }),
      then: fc.constantFrom('go on', 'flush', 'lose', 'restart'),
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

function describeFinishing({ driver, harness }: Context): void {
  it('answers the same key again, by the same and by another instance', async () => {
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

  it('answers the same key to everybody who finishes at once', async () => {
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

function describeAborting({ driver, harness }: Context): void {
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

  it('succeeds for an upload that was only begun, and for one that nobody began', async () => {
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

function describeObjects({ driver, harness }: Context): void {
  const missing = parseObjectKey(`blobs/sha256/ab/${'ab'.repeat(32)}/${randomUUID()}`);

  it('rejects stat and read of a missing object', async () => {
    await expect(driver().stat(missing)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await expect(driver().read(missing, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await expect(driver().read(missing, { start: 0, end: 1 })).rejects.toBeInstanceOf(ObjectNotFoundError);
  });

  it.each(['uploads/x', 'a', 'blobs', 'blobs/sha256', 'x'.repeat(1024), `${'y'.repeat(300)}/z`])(
    'has no object at a key that it never gave: %.20s',
    async (text) => {
      await stored(driver(), randomBytes(10));
      await uploaded(driver(), randomBytes(10));
      const key = parseObjectKey(text);
      await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await driver().delete(key);
    },
  );

  it('has no object below one', async () => {
    const key = await stored(driver(), randomBytes(10));
    const below = parseObjectKey(`${key}/more`);
    await expect(driver().stat(below)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await driver().delete(below);
    expect((await driver().stat(key)).sizeBytes).toBe(10);
  });

  it('deletes, and deletes again', async () => {
    const key = await stored(driver(), randomBytes(10));
    await driver().delete(key);
    await driver().delete(key);
    await driver().delete(missing);
    await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(await listed(driver(), '')).toEqual([]);
  });

  it('says when an object was made', async () => {
    const before = Date.now();
    const { modifiedAt } = await driver().stat(await stored(driver(), randomBytes(10)));
    // Another machine's clock, or one of whole seconds, may say it.
    expect(Math.abs(modifiedAt.getTime() - before)).toBeLessThan(60_000);
  });

  it('shows another instance the same objects', async () => {
    const content = randomBytes(1000);
    const key = await stored(driver(), content);
    const other = await harness().reopen();
    expectBytes(await readAll(other, key), content);
    await other.delete(key);
    await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
  });
}

function describeListing({ driver, harness }: Context): void {
  it('is empty at first', async () => {
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listed(driver(), 'blobs/none/')).toEqual([]);
  });

  it('lists by every prefix of a key, and by none that it lacks', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => stored(driver(), randomBytes(20))));
    expect((await listed(driver(), '')).sort()).toEqual([...keys].sort());
    const [key] = keys as [ObjectKey];
    for (let length = 1; length <= key.length; length += 1) {
      const prefix = key.slice(0, length);
      const expected = keys.filter((each) => each.startsWith(prefix)).sort();
      expect((await listed(driver(), prefix)).sort()).toEqual(expected);
    }
    expect(await listed(driver(), `${key}x`)).toEqual([]);
    expect(await listed(driver(), `${key}/`)).toEqual([]);
    expect(await listed(driver(), `x${key}`)).toEqual([]);
  });

  it('lists what stat answers', async () => {
    const key = await stored(driver(), randomBytes(123));
    const objects: ObjectStat[] = [];
    for await (const object of driver().list('')) objects.push(object);
    expect(objects).toEqual([await driver().stat(key)]);
  });

  it('frees what it holds when it is left early', async () => {
    await Promise.all(Array.from({ length: 5 }, () => stored(driver(), randomBytes(20))));
    for await (const _ of driver().list('')) break;
    expect(await harness().openHandles()).toBe(0);
  });
}

function describeReading({ driver, harness }: Context): void {
  it('reads any span', async () => {
    const content = randomBytes(1_300_000);
    const key = await stored(driver(), content, 100_000);
    const position = fc.oneof(
      fc.integer({ min: 0, max: content.length - 1 }),
      fc.constantFrom(0, 1, 99_999, 100_000, 524_287, 524_288, 1_048_576, content.length - 1),
    );
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const bytes = await buffer(await driver().read(key, { start, end }));
        expectBytes(bytes, content.subarray(start, end + 1));
      }),
      { numRuns: 40 },
    );
    expect(await harness().openHandles()).toBe(0);
  });

  it.each([
    { start: 0, end: 10 },
    { start: 10, end: 10 },
    { start: 5, end: 4 },
    { start: -1, end: 3 },
    { start: 100, end: 200 },
  ])('rejects a span that does not lie within 10 bytes: %j', async (span) => {
    const key = await stored(driver(), randomBytes(10));
    await expect(driver().read(key, span)).rejects.toBeInstanceOf(StorageError);
    expect(await harness().openHandles()).toBe(0);
  });

  it('reads the empty object, but no span of it', async () => {
    const key = await stored(driver(), Buffer.of());
    expectBytes(await readAll(driver(), key), Buffer.of());
    await expect(driver().read(key, { start: 0, end: 0 })).rejects.toBeInstanceOf(StorageError);
  });

  it('frees what a stream holds when it is destroyed before, during and after reading', async () => {
    const key = await stored(driver(), randomBytes(4 * MIB));
    const unread = await driver().read(key, undefined);
    unread.destroy();
    await closed(unread);
    const partly = await driver().read(key, undefined);
    for await (const _ of partly) break;
    await closed(partly);
    const read = await driver().read(key, undefined);
    await buffer(read);
    await closed(read);
    expect(await harness().openHandles()).toBe(0);
  });

  it('serves many readers at once, slow ones too', async () => {
    const content = randomBytes(3 * MIB);
    const key = await stored(driver(), content);
    const streams = await Promise.all(Array.from({ length: 8 }, () => driver().read(key, undefined)));
    for (const bytes of await Promise.all(streams.map((stream) => buffer(stream)))) {
      expectBytes(bytes, content);
    }
  });

  it('reads ahead no more than a few megabytes of what nobody takes', async () => {
    const key = await stored(driver(), Buffer.alloc(16 * MIB));
    const stream = await driver().read(key, undefined);
    const first = (await stream[Symbol.asyncIterator]().next()) as { value: Buffer };
    expect(first.value.length + stream.readableLength).toBeLessThanOrEqual(9 * MIB);
    stream.destroy();
    await closed(stream);
  });
}

function describeHostileNames({ driver }: Context): void {
  const long = 'a'.repeat(1025);
  const hostile = [
    ['empty', ''],
    ['dot', '.'],
    ['parent', '..'],
    ['traversal', '../../etc/passwd'],
    ['traversal within', 'blobs/../../etc/passwd'],
    ['traversal at the end', 'blobs/..'],
    ['absolute', '/etc/passwd'],
    ['an empty segment', 'blobs//x'],
    ['NUL', 'blobs/x\0y'],
    ['percent', 'blobs/%2e%2e/x'],
    ['a backslash', '..\\..\\x'],
    ['a newline', 'blobs/x\n'],
    ['a space', 'blobs/ x'],
    ['unicode', 'blobs/\u2024\u2024/x'],
    ['a wide full stop', 'blobs/\uff0e\uff0e/x'],
    ['a colon', 'C:x'],
    ['too long', long],
  ] as const;

  it.each(hostile)('refuses a key: %s', async (_, text) => {
    const key = text as ObjectKey;
    await expect(driver().stat(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(driver().delete(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
  });

  it.each(hostile)('refuses an upload id: %s', async (_, id) => {
    const state = await driver().createUpload(randomUUID());
    await expectInvalidId(driver(), { id, state });
  });

  it.each(['a/b', 'uploads/../x', 'a'.repeat(129)])(
    'refuses an upload id of more than a segment: %.20s',
    async (id) => {
      await expectInvalidId(driver(), { id, state: await driver().createUpload(randomUUID()) });
    },
  );

  it.each(hostile.filter(([, text]) => text !== ''))('refuses a prefix: %s', async (_, prefix) => {
    await expect(listed(driver(), prefix)).rejects.toBeInstanceOf(InvalidObjectKeyError);
  });

  it.each(['sha256:../../../etc', 'sha256:', 'sha256:a/b', '..:abc', `sha256:${long}`])(
    'refuses a digest that no parser made: %.30s',
    async (text) => {
      const upload = await begin(driver());
      expect(() => driver().objectKeyOf(upload, text as Digest)).toThrow(InvalidObjectKeyError);
      await expect(driver().finishUpload(upload, text as Digest, 0)).rejects.toBeInstanceOf(
        InvalidObjectKeyError,
      );
    },
  );
}

async function expectInvalidId(driver: StorageDriver, upload: DriverUpload): Promise<void> {
  const invalid = InvalidObjectKeyError;
  expect(() => driver.objectKeyOf(upload, digest(Buffer.of()))).toThrow(invalid);
  await expect(driver.createUpload(upload.id)).rejects.toBeInstanceOf(invalid);
  await expect(driver.openUpload(upload, 0)).rejects.toBeInstanceOf(invalid);
  await expect(driver.finishUpload(upload, digest(Buffer.of()), 0)).rejects.toBeInstanceOf(invalid);
  await expect(driver.fenceUpload(upload)).rejects.toBeInstanceOf(invalid);
  await expect(driver.abortUpload(upload)).rejects.toBeInstanceOf(invalid);
}

function describeSignals({ driver, harness }: Context): void {
  const reason = new Error('the client left');
  const calls: [
    string,
    (driver: StorageDriver, upload: DriverUpload, options: IoOptions) => Promise<unknown>,
  ][] = [
    ['check', (on, _, options) => on.check(options)],
    ['readIdentity', (on, _, options) => on.readIdentity(options)],
    ['stat', (on, _, options) => on.stat(parseObjectKey('a/b'), options)],
    ['read', (on, _, options) => on.read(parseObjectKey('a/b'), undefined, options)],
    ['delete', (on, _, options) => on.delete(parseObjectKey('a/b'), options)],
    ['list', (on, _, options) => listed(on, '', options)],
    ['createUpload', (on, _, options) => on.createUpload(randomUUID(), options)],
    ['openUpload', (on, upload, options) => on.openUpload(upload, 0, options)],
    ['finishUpload', (on, upload, options) => on.finishUpload(upload, digest(Buffer.of()), 0, options)],
    ['fenceUpload', (on, upload, options) => on.fenceUpload(upload, options)],
    ['listUploads', (on, _, options) => listedUploads(on, options)],
    ['abortUpload', (on, upload, options) => on.abortUpload(upload, options)],
  ];

  it.each(calls)('%s rejects with the reason when its signal is aborted already', async (_, call) => {
    const upload = await begin(driver());
    const signal = AbortSignal.abort(reason);
    await expect(call(driver(), upload, { signal })).rejects.toBe(reason);
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it.each(calls)('%s settles, leaks nothing and can be repeated when aborted under way', async (_, call) => {
    const upload = await begin(driver());
    const giveUp = new AbortController();
    const [outcome] = await Promise.allSettled([
      call(driver(), upload, { signal: giveUp.signal }),
      Promise.resolve().then(() => giveUp.abort(reason)),
    ]);
    // `openUpload` may have been faster than the abort.
    if (outcome.status === 'fulfilled') await letGo(outcome.value);
    await driver().finishUpload(upload, digest(Buffer.of()), 0);
    await until(async () => (await harness().openHandles()) === 0);
  });

  it('destroys the stream of a read whose signal is aborted later', async () => {
    const key = await stored(driver(), randomBytes(4 * MIB));
    const giveUp = new AbortController();
    const stream = await driver().read(key, undefined, { signal: giveUp.signal });
    const reading = expect(
      (async () => {
        for await (const _ of stream) giveUp.abort(reason);
      })(),
    ).rejects.toMatchObject({ name: 'AbortError' });
    await reading;
    await closed(stream);
    expect(await harness().openHandles()).toBe(0);
  });

  it('lets a sink outlive the signal that it was opened with', async () => {
    const giveUp = new AbortController();
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0, { signal: giveUp.signal });
    await sink.write(Buffer.from('kept'));
    giveUp.abort(reason);
    const state = await sink.flush();
    await sink.close();
    const key = await driver().finishUpload({ ...upload, state }, digest(Buffer.from('kept')), 4);
    expectBytes(await readAll(driver(), key), Buffer.from('kept'));
  });
}

function describeIdentity({ driver, harness }: Context): void {
  it('has none at first, and then the one that was written last, whoever asks', async () => {
    expect(await driver().readIdentity()).toBeUndefined();
    const [one, other] = [randomUUID(), randomUUID()];
    await driver().writeIdentity(one);
    const again = await harness().reopen();
    expect([await driver().readIdentity(), await again.readIdentity()]).toEqual([one, one]);
    await again.writeIdentity(other);
    expect([await driver().readIdentity(), await again.readIdentity()]).toEqual([other, other]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('is no object and no upload, and outlives preparing, finishing and deleting', async () => {
    const id = randomUUID();
    await driver().writeIdentity(id);
    await driver().prepare();
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listed(driver(), 'berth-')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
    const content = randomBytes(10);
    const upload = { id: 'berth-identity', state: await driver().createUpload('berth-identity') };
    const state = await append(driver(), upload, 0, [content]);
    await driver().delete(await driver().finishUpload({ ...upload, state }, digest(content), 10));
    for (const key of ['berth-identity', 'berth-identity/x', 'berth-claim'].map(parseObjectKey)) {
      await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await driver().delete(key);
    }
    expect(await driver().readIdentity()).toBe(id);
  });

  it.each(['', 'x', '../x', randomUUID().toUpperCase()])('refuses to be %j', async (id) => {
    await expect(driver().writeIdentity(id)).rejects.toBeInstanceOf(StorageError);
    expect(await driver().readIdentity()).toBeUndefined();
  });

  it('is not in the way of a storage being empty; objects and uploads are', async () => {
    await driver().writeIdentity(randomUUID());
    expect(await driver().isEmpty()).toBe(true);
    const upload = await uploaded(driver(), randomBytes(100_000));
    expect(await driver().isEmpty()).toBe(false);
    await driver().abortUpload(upload);
    expect(await driver().isEmpty()).toBe(true);
    const key = await stored(driver(), Buffer.from('x'));
    expect(await driver().isEmpty()).toBe(false);
    await driver().delete(key);
    expect(await driver().isEmpty()).toBe(true);
    expect(await harness().openHandles()).toBe(0);
  });
}

function describeBoot({ driver, harness }: Context): void {
  it('has a name, and a place that a person can read', () => {
    expect(driver().name).toMatch(/^[a-z0-9]+$/);
    expect(driver().location).not.toBe('');
  });

  it('prepares again without touching what is there', async () => {
    const content = randomBytes(100);
    const key = await stored(driver(), content);
    const upload = await uploaded(driver(), content);
    await driver().prepare();
    await (await harness().reopen()).prepare();
    expectBytes(await readAll(driver(), key), content);
    await driver().finishUpload(upload, digest(content), 100);
  });

  it('is ready, and leaves no trace of the question', async () => {
    await driver().check();
    await driver().check({ signal: new AbortController().signal });
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });
}
