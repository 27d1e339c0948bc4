import 'reflect-metadata';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import type { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { watchConnections } from '../support/active-connections.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from '../support/radosgw.js';
import { s3Settings } from '../support/s3-settings.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';
import type { StorageDriverHarness } from '../contract/storage-driver.harness.js';
import { contractDriver } from './support/contract-driver.js';

async function makeHarness(): Promise<StorageDriverHarness> {
  const openHandles = watchConnections();
  const server = await sharedRadosgw();
  const settings = s3Settings(server, await freshBucket(server), { storageS3Prefix: 'some/where/' });
  const opened: S3ObjectStore[] = [];
  const open = async (): Promise<ObjectStorageDriver> => {
    const store = new S3ObjectStore(settings);
    opened.push(store);
    return contractDriver(store);
  };
  return {
    driver: await open(),
    reopen: open,
    openHandles,
    dispose: () => {
      for (const store of opened) store.destroy();
      return Promise.resolve();
    },
  };
}

describeWithRadosgw('S3', () => describeStorageDriverContract('s3', makeHarness, { readsUploads: false }));
