import { openAzureObjectStore } from '../../src/storage/drivers/azure/azure-object.store.js';
import { watchConnections } from '../support/active-connections.js';
import { azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';
import { contractDriver } from './support/contract-driver.js';

describeStorageDriverContract(
  'azure',
  async () => {
    const openHandles = watchConnections();
    const azurite = await createAzuriteContainer();
    const settings = azuriteSettings(azurite, { storageAzurePrefix: 'some/where/' });
    const open = async () => contractDriver(await openAzureObjectStore(settings));
    return {
      driver: await open(),
      reopen: open,
      openHandles,
      dispose: () => azurite.drop(),
    };
  },
  { readsUploads: false },
);
