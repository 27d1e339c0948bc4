import { watchConnections } from '../support/active-connections.js';
import { GcsHarness } from '../support/gcs-server/gcs-harness.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';
import { contractDriver } from './support/contract-driver.js';

describeStorageDriverContract(
  'gcs',
  async () => {
    const openHandles = watchConnections();
    const harness = await GcsHarness.start();
    const open = () => contractDriver(harness.store({ storageGcsPrefix: 'some/where/' }));
    return {
      driver: await open(),
      reopen: open,
      openHandles,
      dispose: () => harness.dispose(),
    };
  },
  { readsUploads: false },
);
