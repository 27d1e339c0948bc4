import { ObjectStorageDriver } from '../../../src/storage/object-store/object-storage.driver.js';
import type { ObjectStore } from '../../../src/storage/object-store/object-store.js';

/** A prepared driver with small parts, which test/support/radosgw.sh lets radosgw accept. */
export async function contractDriver(store: ObjectStore): Promise<ObjectStorageDriver> {
  const driver = new ObjectStorageDriver(store, { partBytes: 512 * 1024, inlineBytes: 600, redirect: false });
  await driver.prepare();
  return driver;
}
