import { Module } from '@nestjs/common';
import { DeletionService } from './deletion.service.js';
import { DeletionStore } from './deletion.store.js';
import { RestoreJob } from './restore-job.js';

/** Deletions: what was deleted can be restored for `GC_UNDELETE_SECONDS`, or purged before. */
@Module({
  providers: [DeletionService, DeletionStore, RestoreJob],
  exports: [DeletionService, DeletionStore],
})
export class DeletionsModule {}
