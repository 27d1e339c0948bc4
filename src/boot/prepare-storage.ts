import type { INestApplicationContext } from '@nestjs/common';
import { StartupError } from '../common/startup.error.js';
import { StorageIdentity } from '../storage-identity/storage-identity.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { StorageError } from '../storage/storage.errors.js';

/** Prepares the storage, after a check that it belongs to the database. @throws StartupError */
export async function prepareStorage(app: INestApplicationContext): Promise<StorageDriver> {
  try {
    await app.get(StorageIdentity).establish();
    return app.get<StorageDriver>(STORAGE_DRIVER);
  } catch (cause) {
    if (cause instanceof StorageError)
      throw new StartupError(`The storage can't be used: ${cause.message}.`, { cause });
    throw cause;
  }
}
