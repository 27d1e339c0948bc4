import { Module } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import { AccessEpoch } from './access-epoch.js';
import { AccountService } from './account.service.js';
import { AccountStore } from './account.store.js';
import { LiveRights } from './live-rights.js';
import { PasswordHasher } from './passwords/password-hasher.js';
import { RightsStore } from './rights.store.js';
import { RobotService } from './robot.service.js';
import { SecretService } from './secret.service.js';
import { SecretStore } from './secret.store.js';
import { UserImportService } from './user-import.service.js';
import { UserService } from './user.service.js';

/** Accounts, groups, grants and secrets: their rows and rules. */
@Module({
  providers: [
    AccessChanges,
    AccessEpoch,
    LiveRights,
    RightsStore,
    AccountStore,
    SecretStore,
    PasswordHasher,
    AccountService,
    UserService,
    UserImportService,
    RobotService,
    SecretService,
  ],
  exports: [
    AccessChanges,
    AccessEpoch,
    LiveRights,
    AccountService,
    UserService,
    UserImportService,
    RobotService,
    SecretService,
  ],
})
export class AccountsModule {}
