import { type DynamicModule, Module } from '@nestjs/common';
import { AdminModule } from './admin/admin.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuthModule } from './auth/auth.module.js';
import { CollectionModule } from './collection/collection.module.js';
import { ConfigModule } from './config/config.module.js';
import type { Configuration } from './config/configuration.js';
import type { Database } from './database/database.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import { HealthModule } from './health/health.module.js';
import { HomeModule } from './home/home.module.js';
import { HttpModule } from './http/http.module.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { MaintenanceModule } from './maintenance/maintenance.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import type { MetricsSource } from './observability/metrics/metrics-source.js';
import { StorageIdentityModule } from './storage-identity/storage-identity.module.js';
import { StorageModule } from './storage/storage.module.js';
import { TlsModule } from './tls/tls.module.js';

/** The composition root. */
@Module({})
export class AppModule {
  static forRoot(
    configuration: Readonly<Configuration>,
    database: Database,
    metrics: MetricsSource,
  ): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(configuration),
        DatabaseModule.forRoot(database),
        StorageModule,
        MaintenanceModule,
        JobsModule,
        AuditModule,
        EventsModule,
        IdempotencyModule,
        StorageIdentityModule,
        CollectionModule,
        HttpModule,
        AuthModule,
        AdminModule,
        HealthModule,
        MetricsModule.forRoot(metrics),
        HomeModule,
        TlsModule,
      ],
    };
  }
}
