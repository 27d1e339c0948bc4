import { Global, Module } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { FilesystemStorageDriver } from './drivers/filesystem/filesystem-storage.driver.js';
import { MemoryStorageDriver } from './drivers/memory/memory-storage.driver.js';
import { STORAGE_DRIVER, type StorageDriver } from './storage-driver.js';

/** Puts the configured driver behind {@link STORAGE_DRIVER}. Nothing else knows which one it is. */
@Global()
@Module({
  providers: [{ provide: STORAGE_DRIVER, inject: [Configuration], useFactory: createStorageDriver }],
  exports: [STORAGE_DRIVER],
})
export class StorageModule {}

function createStorageDriver(configuration: Configuration): StorageDriver {
  switch (configuration.storageDriver) {
    case 'filesystem':
      return new FilesystemStorageDriver(configuration.filesystemRoot);
    case 'memory':
      return new MemoryStorageDriver();
    case 's3':
    case 'azure':
    case 'gcs':
      throw new Error(`${configuration.storageDriver} is not there yet`);
  }
}
