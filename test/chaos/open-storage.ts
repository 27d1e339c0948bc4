import { DiskStorage } from './disk-storage.js';
import { S3Storage } from './s3-storage.js';
import type { ChaosSettings } from './settings.js';
import type { ChaosStorage } from './storage.js';

/** @param path a directory that does not exist yet, for the storage on disk. */
export function openStorage(settings: ChaosSettings, path: string): Promise<ChaosStorage> {
  return settings.storage === 's3' ? S3Storage.open() : DiskStorage.open(settings, path);
}
