import { Global, Module } from '@nestjs/common';
import { StorageIdentity } from './storage-identity.js';
import { StorageIdentityStore } from './storage-identity.store.js';

/** Checks that the storage belongs to the database. */
@Global()
@Module({ providers: [StorageIdentity, StorageIdentityStore], exports: [StorageIdentity] })
export class StorageIdentityModule {}
