import { Module } from '@nestjs/common';
import { BlobPresence } from './blob-presence.js';
import { BlobService } from './blob.service.js';
import { BlobStore } from './blob.store.js';
import { DisplacedObjectStore } from './displaced-object.store.js';
import { DisplacedObjects } from './displaced-objects.service.js';
import { RepositoryStore } from './repository.store.js';
import { SmallBlobs } from './small-blobs.js';

/** Layers and configs: stat, read, mount, delete; and whether their bytes are there. */
@Module({
  providers: [
    BlobService,
    BlobStore,
    BlobPresence,
    DisplacedObjects,
    DisplacedObjectStore,
    RepositoryStore,
    SmallBlobs,
  ],
  exports: [BlobService, BlobStore, BlobPresence, DisplacedObjects, RepositoryStore],
})
export class BlobsModule {}
