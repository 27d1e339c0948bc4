import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CheckedStorageDriver } from '../../src/storage/checked-storage.driver.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import { type Context, type StorageDriverHarness } from './storage-driver.harness.js';
import { describeFencing } from './storage-driver-fencing.contract.js';
import { describeDeletingMany } from './storage-driver-deleting.contract.js';
import { describeOpening } from './storage-driver-opening.contract.js';
import { describeAborting, describeFinishing } from './storage-driver-finishing.contract.js';
import { describeResuming } from './storage-driver-resuming.contract.js';
import { describeStoring } from './storage-driver-storing.contract.js';
import { describeOneUpload, describeReadingUploads } from './storage-driver-uploads.contract.js';
import {
  describeObjects,
  describeListing,
  describeReading,
  describeHostileNames,
  describeSignals,
  describeClaim,
  describeIdentity,
  describeBoot,
} from './storage-driver-objects.contract.js';

/** The executable form of the contract in `src/storage/storage-driver.ts`. */
export function describeStorageDriverContract(
  name: string,
  makeHarness: () => Promise<StorageDriverHarness>,
  {
    readsUploads = true,
    opensObjects = false,
    deletesMany = true,
    storesUploads = false,
  }: { readsUploads?: boolean; opensObjects?: boolean; deletesMany?: boolean; storesUploads?: boolean } = {},
): void {
  describe(`storage driver contract: ${name}`, () => {
    let harness: StorageDriverHarness;
    let driver: StorageDriver;
    beforeEach(async () => {
      harness = checked(await makeHarness());
      driver = harness.driver;
    });
    afterEach(() => harness.dispose());

    const context: Context = { readsUploads, driver: () => driver, harness: () => harness };
    describe('one upload', () => describeOneUpload(context));
    describe('resuming an upload', () => describeResuming(context));
    describe('finishing', () => describeFinishing(context));
    describe('fencing', () => describeFencing(context));
    describe('aborting', () => describeAborting(context));
    describe('objects', () => describeObjects(context));
    describe('listing', () => describeListing(context));
    describe('reading', () => describeReading(context));
    describe('hostile names', () => describeHostileNames(context));
    describe('aborting calls', () => describeSignals(context));
    describe('boot', () => describeBoot(context));
    describe('identity', () => describeIdentity(context));
    describe('claim', () => describeClaim(context));
    if (readsUploads) describe('reading unfinished uploads', () => describeReadingUploads(context));
    if (deletesMany) describe('deleting many objects', () => describeDeletingMany(context));
    if (opensObjects) describe('holding objects open', () => describeOpening(context));
    if (storesUploads) describe('storing whole uploads', () => describeStoring(context));
    it('has the abilities that are declared, and no other', () => {
      expect(driver.abilities).toMatchObject({ readsUploads, opensObjects, deletesMany, storesUploads });
      const { openObject, readUpload, redirectUrl, deleteMany, storeUpload } = driver as CheckedStorageDriver;
      expect(openObject !== undefined).toBe(opensObjects);
      expect(readUpload !== undefined).toBe(readsUploads);
      expect(deleteMany !== undefined).toBe(deletesMany);
      expect(storeUpload !== undefined).toBe(storesUploads);
      expect(redirectUrl !== undefined).toBe(driver.abilities.redirects);
    });
  });
}

/** Wraps the drivers as the product does. */
function checked(harness: StorageDriverHarness): StorageDriverHarness {
  return {
    driver: new CheckedStorageDriver(harness.driver),
    reopen: async () => new CheckedStorageDriver(await harness.reopen()),
    openHandles: () => harness.openHandles(),
    dispose: () => harness.dispose(),
  };
}
