import { randomBytes, randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { ObjectNotFoundError, UploadStateError } from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  type Context,
  digest,
  expectBytes,
  listed,
  readAll,
  stored,
  uploaded,
} from './storage-driver.harness.js';

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

  it('returns the key of an object before, while and after it exists', async () => {
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

  it('returns two keys for two uploads of the same content, and deleting one keeps the other', async () => {
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

  it('finishes many concurrent uploads with their own content', async () => {
    const contents = Array.from({ length: 12 }, (_, index) => Buffer.alloc(50_000 + index, index));
    const keys = await Promise.all(contents.map((content) => stored(driver(), content)));
    for (const [index, key] of keys.entries()) {
      expectBytes(await readAll(driver(), key), contents[index]!);
    }
  });
}

export function describeAborting({ driver, harness }: Context): void {
  it('removes an upload, also when repeated', async () => {
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

  it('succeeds for a created upload without bytes, and for an unknown one', async () => {
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
