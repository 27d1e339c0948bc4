import type { StorageDriver, StoredUpload } from '../../../src/storage/storage-driver.js';

/** The ids of unfinished uploads that a driver lists. One with few bytes may have them in its row alone. */
export async function unfinishedUploads(driver: StorageDriver): Promise<string[]> {
  const ids = new Set<string>();
  for await (const { upload } of driver.listUploads()) ids.add(upload.id);
  return [...ids].sort();
}

/** The keys of all objects that a driver holds. */
export async function storedObjects(driver: StorageDriver): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of driver.list('')) keys.push(key);
  return keys.sort();
}

/** Removes the bytes of all unfinished uploads. */
export async function removeUploads(driver: StorageDriver): Promise<void> {
  for await (const { upload } of driver.listUploads()) await driver.abortUpload(upload);
}

/** Makes unfinished uploads look older while `work` runs. */
export async function withAgedUploads(
  driver: StorageDriver,
  seconds: number,
  work: () => Promise<unknown>,
): Promise<void> {
  const list = driver.listUploads.bind(driver);
  const aged = async function* (...call: Parameters<typeof list>): AsyncGenerator<StoredUpload, void> {
    for await (const { upload, modifiedAt } of list(...call)) {
      yield { upload, modifiedAt: new Date(modifiedAt.getTime() - 1000 * seconds) };
    }
  };
  const changed = driver as { listUploads?: unknown };
  changed.listUploads = aged;
  await work().finally(() => delete changed.listUploads);
}
