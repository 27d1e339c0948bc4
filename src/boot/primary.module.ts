import { type DynamicModule, Module } from '@nestjs/common';
import { AccessChanges } from '../accounts/rights/access-changes.js';
import { AdminStore } from '../accounts/first-run/admin.store.js';
import { FirstRun } from '../accounts/first-run/first-run.js';
import { PasswordHasher } from '../accounts/passwords/password-hasher.js';
import { AuditLog } from '../audit/audit-log.js';
import { ConfigModule } from '../config/config.module.js';
import type { Configuration } from '../config/configuration.js';
import type { Database } from '../database/database.js';
import { DatabaseModule } from '../database/database.module.js';
import { RegistryGaugesModule } from '../metrics/registry-gauges.module.js';
import { StorageIdentityModule } from '../storage-identity/storage-identity.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { MaintenanceModule } from '../maintenance/maintenance.module.js';
import { TlsAuthorityStore } from '../tls/tls-authority.store.js';
import { TlsAuthority } from '../tls/tls-authority.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';

/**
 * The primary of workers serves no requests. It prepares the storage, makes the first admin and the
 * certificate authority, releases leases of workers that ended, and measures what all of them share.
 */
@Module({})
export class PrimaryModule {
  static forRoot(configuration: Readonly<Configuration>, database: Database): DynamicModule {
    return {
      module: PrimaryModule,
      imports: [
        ConfigModule.forRoot(configuration),
        DatabaseModule.forRoot(database),
        StorageModule,
        MaintenanceModule,
        StorageIdentityModule,
        RegistryGaugesModule,
      ],
      providers: [
        UploadSessionStore,
        ...[FirstRun, AdminStore, AccessChanges, PasswordHasher, AuditLog],
        ...[TlsAuthority, TlsAuthorityStore],
      ],
    };
  }
}
