import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { watchConnections } from '../support/active-connections.js';
import { GcsHarness } from '../support/gcs-server/gcs-harness.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';

describeStorageDriverContract(
  'gcs',
  async () => {
    const openHandles = watchConnections();
    const harness = await GcsHarness.start();
    const open = async (): Promise<ObjectStorageDriver> => {
      const driver = new ObjectStorageDriver(harness.store({ storageGcsPrefix: 'some/where/' }), {
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
      dispose: () => harness.dispose(),
    };
  },
  { readsUploads: false },
);
