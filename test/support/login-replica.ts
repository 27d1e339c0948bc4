import type { DataSource } from 'typeorm';
import { AccessChanges } from '../../src/accounts/rights/access-changes.js';
import { AccessEpoch } from '../../src/accounts/rights/access-epoch.js';
import { LiveRights } from '../../src/accounts/rights/live-rights.js';
import { FailedLogins } from '../../src/accounts/logins/failed-logins.js';
import { LoginService } from '../../src/accounts/logins/login.service.js';
import { LoginStore } from '../../src/accounts/logins/login.store.js';
import { PasswordLogins } from '../../src/accounts/logins/password-logins.js';
import { SecretLogins } from '../../src/accounts/logins/secret-logins.js';
import { SuccessfulLogins } from '../../src/accounts/logins/successful-logins.js';
import { PasswordHasher } from '../../src/accounts/passwords/password-hasher.js';
import { PasswordStore } from '../../src/accounts/passwords/password.store.js';
import { RightsStore } from '../../src/accounts/rights/rights.store.js';
import { SecretUses } from '../../src/accounts/secrets/secret-uses.js';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';

/** The parts of a replica that log accounts in. What it knows of others is in the database. */
export interface LoginReplica {
  readonly logins: LoginService;
  readonly changes: AccessChanges;
  readonly hasher: PasswordHasher;
  readonly uses: SecretUses;
}

export function loginReplica(dataSource: DataSource): LoginReplica {
  const unitOfWork = new UnitOfWork(dataSource);
  const changes = new AccessChanges(unitOfWork);
  const rightsStore = new RightsStore(dataSource);
  const epoch = new AccessEpoch(rightsStore, loadConfiguration({ ACCESS_MODE: 'token' }), changes);
  const rights = new LiveRights(epoch, rightsStore);
  const store = new LoginStore(unitOfWork, dataSource);
  const failures = new FailedLogins(store);
  const hasher = new PasswordHasher();
  const uses = new SecretUses(unitOfWork);
  const logins = new LoginService(
    new PasswordLogins(new PasswordStore(unitOfWork, dataSource), hasher, failures, rights),
    new SecretLogins(failures, rights, uses),
    new SuccessfulLogins(store),
  );
  return { logins, changes, hasher, uses };
}
