import { randomBytes, randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { canDeleteMany, type DeletionFailures } from '../../src/storage/driver-abilities.js';
import { type ObjectKey, parseObjectKey } from '../../src/storage/object-key.js';
import type { IoOptions, StorageDriver } from '../../src/storage/storage-driver.js';
import { InvalidObjectKeyError } from '../../src/storage/storage.errors.js';
import { type Context, expectBytes, listed, readAll, stored } from './storage-driver.harness.js';

/** A few more than all drivers delete at the same time. */
const COUNT = 40;

export function describeDeletingMany({ driver, harness }: Context): void {
  const several = (count: number) =>
    Promise.all(Array.from({ length: count }, () => stored(driver(), randomBytes(20))));

  it('deletes exactly the objects that are named, also when repeated', async () => {
    const [kept, ...keys] = (await several(COUNT)) as [ObjectKey, ...ObjectKey[]];
    expect(await deleteMany(driver(), keys)).toEqual(new Map());
    expect(await listed(driver(), '')).toEqual([kept]);
    expect(await deleteMany(driver(), [...keys, kept, kept])).toEqual(new Map());
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('deletes nothing for no key, for missing ones, and for names that are reserved', async () => {
    const key = await stored(driver(), randomBytes(10));
    await driver().writeIdentity(randomUUID());
    const missing = parseObjectKey(`blobs/sha256/ab/${'ab'.repeat(32)}/${randomUUID()}`);
    const others = ['berth-identity', 'uploads/x', 'blobs', `${key}/below`].map(parseObjectKey);
    for (const keys of [[], [missing], others]) {
      expect(await deleteMany(driver(), keys)).toEqual(new Map());
    }
    expect(await listed(driver(), '')).toEqual([key]);
    expect(await driver().readIdentity()).toBeDefined();
  });

  it('deletes an object of a digest, and keeps others of the same digest', async () => {
    const content = randomBytes(10);
    const [one, other] = [await stored(driver(), content), await stored(driver(), content)];
    await deleteMany(driver(), [one]);
    expectBytes(await readAll(driver(), other), content);
  });

  it('does no harm to commits of the same digest at the same time', async () => {
    const content = randomBytes(10);
    let key = await stored(driver(), content);
    for (let round = 0; round < 20; round += 1) {
      const [next] = await Promise.all([stored(driver(), content), deleteMany(driver(), [key])]);
      expectBytes(await readAll(driver(), next), content);
      key = next;
    }
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it('refuses a text that is no key, before it deletes any', async () => {
    const key = await stored(driver(), randomBytes(10));
    const call = deleteMany(driver(), [key, '../x' as ObjectKey]);
    await expect(call).rejects.toBeInstanceOf(InvalidObjectKeyError);
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it('rejects with the reason of its signal, and can be repeated', async () => {
    const keys = await several(COUNT);
    const reason = new Error('stop');
    const aborted = deleteMany(driver(), keys, { signal: AbortSignal.abort(reason) });
    await expect(aborted).rejects.toBe(reason);
    expect(await listed(driver(), '')).toHaveLength(COUNT);
    const controller = new AbortController();
    await Promise.allSettled([
      deleteMany(driver(), keys, { signal: controller.signal }),
      Promise.resolve().then(() => controller.abort(reason)),
    ]);
    await deleteMany(driver(), keys);
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });
}

async function deleteMany(
  driver: StorageDriver,
  keys: readonly ObjectKey[],
  options?: IoOptions,
): Promise<DeletionFailures> {
  if (!canDeleteMany(driver)) throw new Error('the driver does not delete many objects');
  return driver.deleteMany(keys, options);
}
