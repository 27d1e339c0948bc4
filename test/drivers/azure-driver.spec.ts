import { openAzureObjectStore } from '../../src/storage/drivers/azure/azure-object.store.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { watchConnections } from '../support/active-connections.js';
import { azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';

describeStorageDriverContract(
  'azure',
  async () => {
    const openHandles = watchConnections();
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
      openHandles,
      dispose: () => azurite.drop(),
    };
  },
  { readsUploads: false },
);
