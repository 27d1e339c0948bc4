import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import {
  canStore,
  MAX_STORED_UPLOAD_BYTES,
  type StoringStorageDriver,
} from '../../src/storage/driver-abilities.js';
import type { DriverUpload, StorageDriver } from '../../src/storage/storage-driver.js';
import { InvalidObjectKeyError, StorageError, UploadStateError } from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  type Context,
  digest,
  expectBytes,
  listed,
  listedUploads,
  readAll,
  uploaded,
  viaJson,
} from './storage-driver.harness.js';

/** A driver that lost the ability would pass if the test only asked the driver. */
function storing(driver: StorageDriver): StoringStorageDriver {
  if (!canStore(driver)) throw new Error('the driver stores no uploads');
  return driver;
}

/** The executable form of `StoringStorageDriver`. */
export function describeStoring(context: Context): void {
  describeStored(context);
  describeRepeated(context);
  describeRefused(context);
}

function describeStored({ driver, harness }: Context): void {
  it.each([0, 1, 4096, 4097, MAX_STORED_UPLOAD_BYTES])('stores %d bytes in one call', async (size) => {
    const content = randomBytes(size);
    const upload = await begin(driver());
    const expected = driver().objectKeyOf(upload, digest(content));
    const key = await storing(driver()).storeUpload(upload, digest(content), content);
    expect(key).toBe(expected);
    expect(await driver().stat(key)).toMatchObject({ key, sizeBytes: size });
    expectBytes(await readAll(await harness().reopen(), key), content);
    expect(await listed(driver(), '')).toEqual([key]);
    expect(await listedUploads(driver())).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('stores a view of a buffer, which the caller may reuse afterwards', async () => {
    const scratch = randomBytes(10_000);
    const content = Buffer.from(scratch.subarray(1000, 3000));
    const upload = await begin(driver());
    const key = await storing(driver()).storeUpload(upload, digest(content), scratch.subarray(1000, 3000));
    scratch.fill(0);
    expectBytes(await readAll(driver(), key), content);
  });

  it('makes an object that can be deleted and stored again', async () => {
    const content = randomBytes(100);
    const upload = await begin(driver());
    for (let time = 0; time < 2; time += 1) {
      const key = await storing(driver()).storeUpload(upload, digest(content), content);
      expectBytes(await readAll(driver(), key), content);
      await driver().delete(key);
      expect(await listed(driver(), '')).toEqual([]);
    }
  });

  it('stores the content of a fenced upload', async () => {
    const content = randomBytes(100);
    let upload = await begin(driver());
    const stale = await driver().openUpload(upload, 0);
    await stale.write(randomBytes(500));
    for (let fences = 0; fences < 3; fences += 1) {
      upload = { ...upload, state: viaJson(await driver().fenceUpload(upload)) };
    }
    const key = await storing(driver()).storeUpload(upload, digest(content), content);
    await stale.write(randomBytes(500)).catch(() => undefined);
    await stale.flush().catch(() => undefined);
    await stale.close();
    expectBytes(await readAll(driver(), key), content);
    await driver().abortUpload(upload);
    expect(await listedUploads(driver())).toEqual([]);
    expectBytes(await readAll(driver(), key), content);
  });

  it('changes nothing for a writer of the same upload', async () => {
    const [whole, other] = [randomBytes(100), randomBytes(3000)];
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0);
    await sink.write(other.subarray(0, 1000));
    const key = await storing(driver()).storeUpload(upload, digest(whole), whole);
    await sink.write(other.subarray(1000));
    const state = await sink.flush();
    await sink.close();
    const finished = await driver().finishUpload({ ...upload, state }, digest(other), 3000);
    expectBytes(await readAll(driver(), finished), other);
    expectBytes(await readAll(driver(), key), whole);
  });
}

function describeRepeated({ driver, harness }: Context): void {
  it('returns the same key again, in the same and in another instance', async () => {
    const content = randomBytes(5000);
    const upload = await begin(driver());
    const key = await storing(driver()).storeUpload(upload, digest(content), content);
    for (const each of [driver(), await harness().reopen()]) {
      expect(await storing(each).storeUpload(upload, digest(content), content)).toBe(key);
      expectBytes(await readAll(each, key), content);
    }
    expect(await listed(driver(), '')).toEqual([key]);
    expect(await listedUploads(driver())).toEqual([]);
  });

  it('finds the object that finishUpload made, and the other way round', async () => {
    const content = randomBytes(5000);
    const started = await begin(driver());
    const upload = { ...started, state: await append(driver(), started, 0, [content]) };
    const key = await driver().finishUpload(upload, digest(content), 5000);
    expect(await storing(driver()).storeUpload(started, digest(content), content)).toBe(key);
    expect(await driver().finishUpload(upload, digest(content), 5000)).toBe(key);
    expectBytes(await readAll(driver(), key), content);
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it('stores concurrently: one upload several times, and many uploads', async () => {
    const other = storing(await harness().reopen());
    const upload = await begin(driver());
    const calls: [DriverUpload, Buffer][] = [randomBytes(40_000), randomBytes(60_000)].flatMap((content) =>
      Array.from({ length: 8 }, (): [DriverUpload, Buffer] => [upload, content]),
    );
    for (let count = 0; count < 24; count += 1) calls.push([await begin(driver()), randomBytes(count * 100)]);
    const keys = await Promise.all(
      calls.map(([each, content], index) =>
        (index % 2 === 0 ? other : storing(driver())).storeUpload(each, digest(content), content),
      ),
    );
    for (const [index, key] of keys.entries()) {
      const content = calls[index]?.[1] ?? Buffer.of();
      expectBytes(await readAll(driver(), key), content);
    }
    expect(await listed(driver(), '')).toHaveLength(26);
    expect(await listedUploads(driver())).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('stores while another upload of the same content is deleted', async () => {
    const content = randomBytes(100);
    for (let round = 0; round < 20; round += 1) {
      const old = await storing(driver()).storeUpload(await begin(driver()), digest(content), content);
      const upload = await begin(driver());
      const [key] = await Promise.all([
        storing(driver()).storeUpload(upload, digest(content), content),
        driver().delete(old),
      ]);
      expectBytes(await readAll(driver(), key), content);
    }
  });
}

function describeRefused({ driver, harness }: Context): void {
  const reason = new Error('the client left');
  const content = randomBytes(100);

  it('refuses an upload that has bytes, and keeps them', async () => {
    const stored = randomBytes(5000);
    const upload = await uploaded(driver(), stored);
    const storedAgain = storing(driver()).storeUpload(upload, digest(content), content);
    await expect(storedAgain).rejects.toBeInstanceOf(UploadStateError);
    expect(await listed(driver(), '')).toEqual([]);
    expectBytes(await readAll(driver(), await driver().finishUpload(upload, digest(stored), 5000)), stored);
  });

  it('refuses a state that no driver made, and one that was listed', async () => {
    const upload = await begin(driver());
    for (const state of [{}, { sizeBytes: -1 }, { sizeBytes: 'x' }, { listed: upload.id }]) {
      const storedWrongly = storing(driver()).storeUpload({ ...upload, state }, digest(content), content);
      await expect(storedWrongly).rejects.toBeInstanceOf(UploadStateError);
    }
    expect(await listed(driver(), '')).toEqual([]);
  });

  it('refuses a hostile id, and content that is too long', async () => {
    const upload = await begin(driver());
    const hostile = storing(driver()).storeUpload({ ...upload, id: '../x' }, digest(content), content);
    await expect(hostile).rejects.toBeInstanceOf(InvalidObjectKeyError);
    const long = randomBytes(MAX_STORED_UPLOAD_BYTES + 1);
    await expect(storing(driver()).storeUpload(upload, digest(long), long)).rejects.toBeInstanceOf(
      StorageError,
    );
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
  });

  it('rejects with the reason if its signal is already aborted', async () => {
    const upload = await begin(driver());
    const signal = AbortSignal.abort(reason);
    const storedLate = storing(driver()).storeUpload(upload, digest(content), content, { signal });
    await expect(storedLate).rejects.toBe(reason);
    expect(await listed(driver(), '')).toEqual([]);
  });

  it('has no more effect when it rejects after an abort, and can be repeated', async () => {
    for (let round = 0; round < 10; round += 1) {
      const upload = await begin(driver());
      const controller = new AbortController();
      const storedLate = storing(driver()).storeUpload(upload, digest(content), content, controller);
      controller.abort(reason);
      await expect(storedLate).rejects.toBe(reason);
      expect(await harness().openHandles()).toBe(0);
      expect(await listedUploads(driver())).toEqual([]);
      const key = await storing(driver()).storeUpload(upload, digest(content), content);
      expectBytes(await readAll(driver(), key), content);
    }
  });
}
