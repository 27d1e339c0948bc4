import { describe } from '@jest/globals';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { MemoryBucket, MemoryObjectStore } from '../support/memory-object-store.js';
import { describeStorageDriverContract } from './storage-driver.contract.js';

/** What every object store has in common, with sizes at which everything of it happens. */
describe.each([
  ['that leaves parts out', true],
  ['that needs every part', false],
])('%s', (which, leavesPartsOut) =>
  describeStorageDriverContract(
    `object store in memory ${which}`,
    () => {
      const bucket = new MemoryBucket();
      const open = () =>
        new ObjectStorageDriver(new MemoryObjectStore(bucket, leavesPartsOut), {
          partBytes: 512 * 1024,
          inlineBytes: 600,
          redirect: false,
        });
      return Promise.resolve({
        driver: open(),
        reopen: () => Promise.resolve(open()),
        openHandles: () => Promise.resolve(0),
        dispose: () => Promise.resolve(),
      });
    },
    { readsUploads: false },
  ),
);
