import type { INestApplicationContext } from '@nestjs/common';
import { StartupError } from './config/startup.error.js';
import { STORAGE_DRIVER, type StorageDriver } from './storage/storage-driver.js';
import { StorageError } from './storage/storage.errors.js';

/** Makes the configured storage ready. @throws StartupError */
export async function prepareStorage(app: INestApplicationContext): Promise<StorageDriver> {
  const driver = app.get<StorageDriver>(STORAGE_DRIVER);
  try {
    await driver.prepare();
    return driver;
  } catch (cause) {
    if (cause instanceof StorageError)
      throw new StartupError(`The storage can't be used: ${cause.message}.`, { cause });
    throw cause;
  }
}
