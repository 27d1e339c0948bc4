import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { CheckedStorageDriver } from './checked-storage.driver.js';
import {
  canDeleteMany,
  canOpen,
  canReadUploads,
  canRedirect,
  canStore,
  type DeletionFailures,
  type OpenObject,
} from './driver-abilities.js';
import { MemoryStorageDriver } from './drivers/memory/memory-storage.driver.js';
import { type ObjectKey, parseObjectKey } from './object-key.js';
import { InvalidObjectKeyError } from './storage.errors.js';

const KEY = parseObjectKey('blobs/one');

/** Has every ability; its files open late. */
class AbleDriver extends MemoryStorageDriver {
  override readonly abilities = {
    redirects: true,
    opensObjects: true,
    readsUploads: true,
    deletesMany: true,
    storesUploads: true,
    outlivesProcess: true,
  };
  open: (object: OpenObject) => void = () => undefined;

  redirectUrl(key: ObjectKey): Promise<URL> {
    return Promise.resolve(new URL(`https://store.example/${key}`));
  }

  deleteMany(): Promise<DeletionFailures> {
    return Promise.resolve(new Map());
  }

  openObject(): Promise<OpenObject> {
    return new Promise((resolve) => (this.open = resolve));
  }
}

describe('CheckedStorageDriver', () => {
  it('has the abilities of its driver, and no others', async () => {
    const able = new CheckedStorageDriver(new AbleDriver());
    const guards = [canRedirect, canOpen, canReadUploads, canDeleteMany, canStore];
    expect(guards.map((guard) => guard(able))).toEqual([true, true, true, true, true]);
    expect(able.abilities.outlivesProcess).toBe(true);
    expect(await able.redirectUrl?.(KEY)).toEqual(new URL('https://store.example/blobs/one'));
    const plain = new CheckedStorageDriver(new MemoryStorageDriver());
    expect(plain.abilities).toMatchObject({ redirects: false, opensObjects: false });
    expect([plain.redirectUrl, plain.openObject, plain.deleteMany]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each(['', '../x', 'blobs//x'])('checks the keys of optional calls: %j', async (text) => {
    const able = new CheckedStorageDriver(new AbleDriver());
    const key = text as ObjectKey;
    await expect(able.redirectUrl?.(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(able.openObject?.(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(able.deleteMany?.([KEY, key])).rejects.toBeInstanceOf(InvalidObjectKeyError);
  });

  it('closes an object that opens after the abort', async () => {
    const driver = new AbleDriver();
    const abort = new AbortController();
    const opening = new CheckedStorageDriver(driver).openObject?.(KEY, { signal: abort.signal });
    abort.abort(new Error('the client left'));
    await expect(opening).rejects.toThrow('the client left');
    let closes = 0;
    const close = () => Promise.resolve(void (closes += 1));
    driver.open({ sizeBytes: 1, read: () => Promise.resolve(), close });
    await setImmediate();
    expect(closes).toBe(1);
  });

  it("gives the caller the driver's own sink", async () => {
    const driver = new MemoryStorageDriver();
    const checked = new CheckedStorageDriver(driver);
    const id = randomUUID();
    const sink = await checked.openUpload({ id, state: await checked.createUpload(id) }, 0);
    expect(sink.constructor.name).toBe('MemoryUploadSink');
    await sink.close();
  });
});
