import 'reflect-metadata';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from '../support/radosgw.js';
import { s3Settings } from '../support/s3-settings.js';
import { describeObjectStoreContract } from '../contract/object-store.contract.js';
import type { ObjectStoreHarness } from '../contract/object-store.harness.js';

const PAGE_SIZE = 7;

async function makeHarness(): Promise<ObjectStoreHarness> {
  const server = await sharedRadosgw();
  const bucket = await freshBucket(server);
  const opened: S3ObjectStore[] = [];
  const open = async (prefix: string): Promise<S3ObjectStore> => {
    const settings = s3Settings(server, bucket, { storageS3Prefix: prefix });
    const store = new S3ObjectStore(settings, { pageSize: PAGE_SIZE });
    opened.push(store);
    await store.prepare();
    return store;
  };
  return {
    store: await open(''),
    traits: {
      // What test/support/radosgw.sh sets.
      partBytes: 1024,
      pageSize: PAGE_SIZE,
      listsMultiparts: true,
      knowsMultiparts: true,
      comparesMd5: true,
      maxNameBytes: 1024,
    },
    open,
    dispose: () => {
      for (const store of opened) store.destroy();
      return Promise.resolve();
    },
  };
}

describeWithRadosgw('S3', () => describeObjectStoreContract('s3', makeHarness));
