import { DiskStorage } from './disk-storage.js';
import { S3Storage } from './s3-storage.js';
import type { ChaosSettings } from './settings.js';
import type { ChaosStorage } from './storage.js';

/** @param path of a directory that there isn't yet, for what is on the disk. */
export function openStorage(settings: ChaosSettings, path: string): Promise<ChaosStorage> {
  return settings.storage === 's3' ? S3Storage.open() : DiskStorage.open(settings, path);
}
