import { setTimeout as sleep } from 'node:timers/promises';
import { openAzureObjectStore } from '../../src/storage/drivers/azure/azure-object-store.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { describeStorageDriverContract } from './storage-driver.contract.js';

/**
 * Those that wait for the next request don't count: nothing is held for them. A connection that was let go takes a moment
 * to close.
 */
async function connectionsInUse(): Promise<number> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const count = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    if (count === 0 || Date.now() > deadline) return count;
    await sleep(5);
  }
}

describeStorageDriverContract(
  'azure',
  async () => {
    const azurite = await createAzuriteContainer();
    const open = async (): Promise<ObjectStorageDriver> => {
      const store = await openAzureObjectStore(
        azuriteSettings(azurite, { storageAzurePrefix: 'some/where/' }),
      );
      const driver = new ObjectStorageDriver(store, {
        partBytes: 512 * 1024,
        inlineBytes: 600,
        redirect: false,
      });
      await driver.prepare();
      return driver;
    };
    return {
      driver: await open(),
      reopen: open,
      openHandles: connectionsInUse,
      dispose: () => azurite.drop(),
    };
  },
  { readsUploads: false },
);
