import { Module } from '@nestjs/common';
import { BlobService } from './blob.service.js';
import { BlobStore } from './blob.store.js';
import { RepositoryStore } from './repository.store.js';
import { SmallBlobs } from './small-blobs.js';

/** Layers and configs: stat, read, mount, delete. */
@Module({
  providers: [BlobService, BlobStore, RepositoryStore, SmallBlobs],
  exports: [BlobService, BlobStore, RepositoryStore],
})
export class BlobsModule {}
