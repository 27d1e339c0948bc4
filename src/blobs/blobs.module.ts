import { Module } from '@nestjs/common';
import { BlobPresence } from './blob-presence.js';
import { BlobService } from './blob.service.js';
import { BlobStore } from './blob.store.js';
import { DisplacedObjectStore } from './displaced-object.store.js';
import { DisplacedObjects } from './displaced-objects.service.js';
import { SmallBlobs } from './small-blobs.js';

/** Layers and configs: stat, read, mount, delete, and check that their objects exist. */
@Module({
  providers: [BlobService, BlobStore, BlobPresence, DisplacedObjects, DisplacedObjectStore, SmallBlobs],
  exports: [BlobService, BlobStore, BlobPresence, DisplacedObjects, SmallBlobs],
})
export class BlobsModule {}
