import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule } from '../config/config.module.js';
import type { Configuration } from '../config/configuration.js';
import type { Database } from '../database/database.js';
import { DatabaseModule } from '../database/database.module.js';
import { StorageIdentityModule } from '../storage-identity/storage-identity.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { MaintenanceModule } from '../maintenance/maintenance.module.js';
import { UploadSessionStore } from '../uploads/session/upload-session.store.js';

/**
 * The primary of workers serves no requests. It prepares the storage and releases leases of workers that
 * ended.
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
      ],
      providers: [UploadSessionStore],
    };
  }
}
