import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesystemStorageDriver } from '../../src/storage/drivers/filesystem/filesystem-storage.driver.js';
import { countOpenFilesBelow } from '../support/open-files.js';
import { describeStorageDriverContract } from './storage-driver.contract.js';
import type { StorageDriverHarness } from './storage-driver.harness.js';

async function makeHarness(): Promise<StorageDriverHarness> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'berth-contract-')));
  const open = async (): Promise<FilesystemStorageDriver> => {
    const driver = new FilesystemStorageDriver(root);
    await driver.prepare();
    return driver;
  };
  return {
    driver: await open(),
    reopen: open,
    openHandles: () => countOpenFilesBelow(root),
    dispose: () => rm(root, { recursive: true, force: true }),
  };
}

describeStorageDriverContract('filesystem', makeHarness, { opensObjects: true, storesUploads: true });
