import { Module } from '@nestjs/common';
import { BlobsModule } from '../blobs/blobs.module.js';
import { ListingService } from './listing.service.js';
import { RepositoriesModule } from '../repositories/repositories.module.js';
import { ManifestService } from './manifest.service.js';
import { ManifestReader } from './manifest.reader.js';
import { ManifestStore } from './manifest.store.js';

/** Manifests, tags, and their lists. */
@Module({
  imports: [BlobsModule, RepositoriesModule],
  providers: [ManifestReader, ManifestService, ListingService, ManifestStore],
  exports: [ManifestService, ListingService],
})
export class ManifestsModule {}
