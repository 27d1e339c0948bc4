import { Module } from '@nestjs/common';
import type { CollectionStage } from './collection-stage.js';
import { CollectionStore } from './collection.store.js';
import { ForecastModule } from './forecast/forecast.module.js';
import { COLLECTION_STAGES, Collector } from './collector.js';
import { ObjectDeletionStore } from './objects/object-deletion.store.js';
import { ObjectDeletions } from './objects/object-deletions.js';
import { BlobsStage } from './stages/blobs.stage.js';
import { DeletionsStage } from './stages/deletions.stage.js';
import { FollowersStage } from './stages/followers.stage.js';
import { LinksStage } from './stages/links.stage.js';
import { SelfCheckStage } from './stages/self-check.stage.js';
import { UntaggedStage } from './stages/untagged.stage.js';

/** In the order in which they run: each makes work for the next. */
const STAGES = [
  UntaggedStage,
  FollowersStage,
  DeletionsStage,
  LinksStage,
  BlobsStage,
  ObjectDeletions,
  SelfCheckStage,
];

/** Collection: what nothing needs any more is deleted. Start reading at {@link Collector}. */
@Module({
  imports: [ForecastModule],
  providers: [
    Collector,
    CollectionStore,
    ObjectDeletionStore,
    ...STAGES,
    {
      provide: COLLECTION_STAGES,
      useFactory: (...stages: CollectionStage[]) => stages,
      inject: STAGES,
    },
  ],
  exports: [Collector, ObjectDeletions],
})
export class CollectionModule {}
