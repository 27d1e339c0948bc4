import type { ObjectStore } from '../../src/storage/object-store/object-store.js';
import { GcsHarness } from '../support/gcs-server/gcs-harness.js';
import { describeObjectStoreContract } from '../contract/object-store.contract.js';
import type { ObjectStoreHarness } from '../contract/object-store.harness.js';

/** What the server of the tests puts on a page, whatever is asked for. */
const PAGE_SIZE = 20;

describeObjectStoreContract('gcs', async (): Promise<ObjectStoreHarness> => {
  const harness = await GcsHarness.start({ pageSize: PAGE_SIZE });
  const open = async (prefix: string): Promise<ObjectStore> => {
    const store = harness.store({ storageGcsPrefix: prefix }, { firstPauseMs: 1, maxPauseMs: 10 });
    await store.prepare();
    return store;
  };
  return {
    store: await open(''),
    traits: {
      partBytes: 1000,
      pageSize: PAGE_SIZE,
      listsMultiparts: false,
      knowsMultiparts: false,
      partsAreObjects: true,
      comparesMd5: true,
      maxNameBytes: 1024,
    },
    open,
    dispose: () => harness.dispose(),
  };
});
