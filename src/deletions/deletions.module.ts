import { Module } from '@nestjs/common';
import { DeletionService } from './deletion.service.js';
import { DeletionStore } from './deletion.store.js';

/** Deletions: what was deleted can be restored for `GC_UNDELETE_SECONDS`, or purged before. */
@Module({ providers: [DeletionService, DeletionStore], exports: [DeletionService, DeletionStore] })
export class DeletionsModule {}
