import type { AzureSettings } from '../../src/config/azure.settings.js';
import { openAzureObjectStore } from '../../src/storage/drivers/azure/azure-object.store.js';
import type { ObjectStore } from '../../src/storage/object-store/object-store.js';
import { type AzuriteContainer, azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { describeObjectStoreContract } from '../contract/object-store.contract.js';
import type { ObjectStoreHarness } from '../contract/object-store.harness.js';

const PAGE_SIZE = 5;

async function opened(azurite: AzuriteContainer, prefix: string): Promise<ObjectStore> {
  const settings: AzureSettings = azuriteSettings(azurite, { storageAzurePrefix: prefix });
  const store = await openAzureObjectStore(settings, { limits: { pageSize: PAGE_SIZE, firstPauseMs: 1 } });
  await store.prepare();
  return store;
}

describeObjectStoreContract('azure', async (): Promise<ObjectStoreHarness> => {
  const azurite = await createAzuriteContainer();
  return {
    store: await opened(azurite, ''),
    traits: {
      partBytes: 1000,
      pageSize: PAGE_SIZE,
      listsMultiparts: false,
      knowsMultiparts: false,
      comparesMd5: true,
      maxNameBytes: 1024,
    },
    open: (prefix) => opened(azurite, prefix),
    dispose: () => azurite.drop(),
  };
});
