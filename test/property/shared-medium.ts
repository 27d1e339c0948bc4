import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../src/storage/drivers/filesystem/filesystem.errors.js';
import { FilesystemStorageDriver } from '../../src/storage/drivers/filesystem/filesystem-storage.driver.js';
import { MemoryMedium } from '../../src/storage/drivers/memory/memory-medium.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import { overriding } from './interposed.js';
import { MemoryBucket, ReadableObjectStorageDriver } from '../support/memory-object-store.js';

/** The storage that the drivers of all replicas share. */
export interface SharedMedium {
  /** Another replica's driver. */
  open(): Promise<StorageDriver>;
  /** Makes the bytes of unfinished uploads look old. */
  age(): Promise<void>;
  dispose(): Promise<void>;
}

export const MEDIA = { filesystem: sharedDirectory, memory: sharedMemory, objects: sharedBucket };

const LONG_AGO = new Date(0);

async function sharedDirectory(): Promise<SharedMedium> {
  const root = await mkdtemp(join(tmpdir(), 'berth-property-'));
  const uploads = join(root, 'uploads');
  return {
    open: async () => {
      // Nothing here survives the machine, so no directory has to.
      const driver = new FilesystemStorageDriver(root, () => Promise.resolve());
      await driver.prepare();
      return driver;
    },
    age: async () => {
      const names = await readdir(uploads);
      const aging = names.map((name) => utimes(join(uploads, name), LONG_AGO, LONG_AGO));
      for (const outcome of await Promise.allSettled(aging)) {
        // On a busy machine, a request may remove its file meanwhile.
        if (outcome.status === 'rejected' && errorCode(outcome.reason) !== 'ENOENT') throw outcome.reason;
      }
    },
    dispose: () => rm(root, { recursive: true, force: true }),
  };
}

function sharedMemory(): Promise<SharedMedium> {
  const medium = new MemoryMedium(64 * 1024 * 1024);
  return Promise.resolve({
    open: () => Promise.resolve(new MemoryStorageDriver(medium)),
    age: () => {
      for (const [name, segment] of medium.segments) {
        medium.segments.set(name, { ...segment, modifiedAt: LONG_AGO });
      }
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  });
}

/** Parts are so small that every case occurs. */
function sharedBucket(): Promise<SharedMedium> {
  const bucket = new MemoryBucket();
  return Promise.resolve({
    open: () => {
      const driver = new ReadableObjectStorageDriver(bucket, { partBytes: 100, inlineBytes: 20 });
      // The model has checkpoints between chunks, and not in the middle of one.
      const openUpload: StorageDriver['openUpload'] = async (...call) =>
        overriding(await driver.openUpload(...call), { flushOffset: undefined });
      return Promise.resolve(overriding<StorageDriver>(driver, { openUpload }));
    },
    age: () => {
      for (const entry of [...bucket.objects.values(), ...bucket.multiparts.values()])
        entry.touchedAt = LONG_AGO;
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  });
}
