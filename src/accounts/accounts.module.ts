import { Module } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import { AccessEpoch } from './access-epoch.js';
import { LiveRights } from './live-rights.js';
import { RightsStore } from './rights.store.js';

/** Accounts, groups, grants and secrets: their rows and rules. */
@Module({
  providers: [AccessChanges, AccessEpoch, LiveRights, RightsStore],
  exports: [AccessChanges, LiveRights],
})
export class AccountsModule {}
