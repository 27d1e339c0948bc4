import { Module } from '@nestjs/common';
import { AccessChanges } from './rights/access-changes.js';
import { AccessEpoch } from './rights/access-epoch.js';
import { AccountService } from './users/account.service.js';
import { AccountStore } from './users/account.store.js';
import { AdminStore } from './first-run/admin.store.js';
import { FirstRun } from './first-run/first-run.js';
import { GrantService } from './grants/grant.service.js';
import { GrantStore } from './grants/grant.store.js';
import { GroupService } from './groups/group.service.js';
import { GroupStore } from './groups/group.store.js';
import { LiveRights } from './rights/live-rights.js';
import { FailedLogins } from './logins/failed-logins.js';
import { LoginService } from './logins/login.service.js';
import { LoginStore } from './logins/login.store.js';
import { PasswordLogins } from './logins/password-logins.js';
import { SecretLogins } from './logins/secret-logins.js';
import { SuccessfulLogins } from './logins/successful-logins.js';
import { PasswordHasher } from './passwords/password-hasher.js';
import { PasswordStore } from './passwords/password.store.js';
import { RightsStore } from './rights/rights.store.js';
import { RobotService } from './users/robot.service.js';
import { SecretService } from './secrets/secret.service.js';
import { SecretStore } from './secrets/secret.store.js';
import { SecretUses } from './secrets/secret-uses.js';
import { UserImportService } from './users/user-import.service.js';
import { UserService } from './users/user.service.js';

const RIGHTS = [AccessChanges, AccessEpoch, LiveRights, RightsStore];
const ACCOUNTS = [AccountService, AccountStore, UserService, UserImportService, RobotService];
const GROUPS_AND_GRANTS = [GroupService, GroupStore, GrantService, GrantStore];
const SECRETS = [SecretService, SecretStore, SecretUses];
const LOGINS = [
  ...[LoginService, LoginStore, FailedLogins, SuccessfulLogins],
  ...[PasswordLogins, PasswordHasher, PasswordStore, SecretLogins],
];

/** Accounts, groups, grants, secrets and logins: their rows and rules. */
@Module({
  providers: [...RIGHTS, ...ACCOUNTS, ...GROUPS_AND_GRANTS, ...SECRETS, ...LOGINS, AdminStore, FirstRun],
  exports: [
    ...[AccessChanges, AccessEpoch, LiveRights, RightsStore, LoginService],
    ...[AccountService, UserService, UserImportService, RobotService, SecretService],
    ...[GroupService, GrantService],
  ],
})
export class AccountsModule {}
