import { MemoryMedium } from '../../src/storage/drivers/memory/memory-medium.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import { describeStorageDriverContract } from './storage-driver.contract.js';

describeStorageDriverContract(
  'memory',
  () => {
    const medium = new MemoryMedium(64 * 1024 * 1024);
    return Promise.resolve({
      driver: new MemoryStorageDriver(medium),
      reopen: () => Promise.resolve(new MemoryStorageDriver(medium)),
      openHandles: () => Promise.resolve(0),
      dispose: () => Promise.resolve(),
    });
  },
  { deletesMany: false, storesUploads: true },
);
