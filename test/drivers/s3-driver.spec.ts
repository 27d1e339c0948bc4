import 'reflect-metadata';
import { S3Settings } from '../../src/config/s3.settings.js';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { watchConnections } from '../support/active-connections.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from '../support/radosgw.js';
import { describeStorageDriverContract } from '../contract/storage-driver.contract.js';
import type { StorageDriverHarness } from '../contract/storage-driver.harness.js';

async function makeHarness(): Promise<StorageDriverHarness> {
  const openHandles = watchConnections();
  const server = await sharedRadosgw();
  const settings = Object.assign(new S3Settings(), {
    storageS3Bucket: await freshBucket(server),
    storageS3Endpoint: server.endpoint,
    storageS3AccessKeyId: server.accessKeyId,
    storageS3SecretAccessKey: server.secretAccessKey,
    storageS3Prefix: 'some/where/',
  });
  const opened: S3ObjectStore[] = [];
  const open = async (): Promise<ObjectStorageDriver> => {
    const store = new S3ObjectStore(settings);
    opened.push(store);
    const driver = new ObjectStorageDriver(store, {
      // radosgw is told to take small parts: see test/support/radosgw.sh.
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
    dispose: () => {
      for (const store of opened) store.destroy();
      return Promise.resolve();
    },
  };
}

describeWithRadosgw('S3', () => describeStorageDriverContract('s3', makeHarness, { readsUploads: false }));
