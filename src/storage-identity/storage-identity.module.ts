import { Global, Module } from '@nestjs/common';
import { StorageClaim } from './storage-claim.js';
import { StorageClaimStore } from './storage-claim.store.js';
import { StorageIdentity } from './storage-identity.js';
import { StorageIdentityStore } from './storage-identity.store.js';

/** Checks that the storage belongs to the database, and that this database may delete objects in it. */
@Global()
@Module({
  providers: [StorageIdentity, StorageIdentityStore, StorageClaim, StorageClaimStore],
  exports: [StorageIdentity, StorageClaim],
})
export class StorageIdentityModule {}
