import { Global, Module } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { StartupError } from '../common/startup.error.js';
import { CheckedStorageDriver } from './checked-storage.driver.js';
import { FilesystemStorageDriver } from './drivers/filesystem/filesystem-storage.driver.js';
import { MemoryStorageDriver } from './drivers/memory/memory-storage.driver.js';
import { ObjectStorageDriver } from './object-store/object-storage.driver.js';
import { STORAGE_DRIVER, type StorageDriver } from './storage-driver.js';
import { StorageError } from './storage.errors.js';

/** Provides the configured driver as {@link STORAGE_DRIVER}. No other module knows which driver it is. */
@Global()
@Module({
  providers: [{ provide: STORAGE_DRIVER, inject: [Configuration], useFactory: createStorageDriver }],
  exports: [STORAGE_DRIVER],
})
export class StorageModule {}

/** Opens the storage without changing anything in it. @throws StartupError */
export async function createStorageDriver(configuration: Configuration): Promise<StorageDriver> {
  try {
    return new CheckedStorageDriver(await openStorageDriver(configuration));
  } catch (cause) {
    if (!(cause instanceof StorageError)) throw cause;
    throw new StartupError(`The storage can't be used: ${cause.message}.`, { cause });
  }
}

async function openStorageDriver(configuration: Configuration): Promise<StorageDriver> {
  const { storageDriver, filesystemRoot, storageRedirect: redirect, s3, azure, gcs } = configuration;
  if (storageDriver === 'filesystem') return new FilesystemStorageDriver(filesystemRoot);
  if (storageDriver === 'memory') return new MemoryStorageDriver();
  // Load a vendor's SDK only if it is used: it costs memory and time at the start.
  if (s3 !== undefined) {
    const { S3ObjectStore } = await import('./drivers/s3/s3-object.store.js');
    return new ObjectStorageDriver(new S3ObjectStore(s3), { partBytes: s3.storageS3PartSizeBytes, redirect });
  }
  if (azure !== undefined) {
    const { openAzureObjectStore } = await import('./drivers/azure/azure-object.store.js');
    const partBytes = azure.storageAzurePartSizeBytes;
    return new ObjectStorageDriver(await openAzureObjectStore(azure), { partBytes, redirect });
  }
  if (gcs !== undefined) {
    const { GcsObjectStore } = await import('./drivers/gcs/gcs-object.store.js');
    return new ObjectStorageDriver(await GcsObjectStore.open(gcs), {
      partBytes: gcs.storageGcsPartSizeBytes,
      redirect,
    });
  }
  throw new Error(`the settings of ${storageDriver} were not loaded`);
}
