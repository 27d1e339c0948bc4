import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { HealthController } from './health.controller.js';
import { DatabaseChecks } from './database-checks.js';
import { ReadinessService } from './readiness.service.js';
import { StorageChecks } from './storage-checks.js';

/** `/health/live` and `/health/ready`. */
@Module({
  imports: [AccessModule],
  controllers: [HealthController],
  providers: [ReadinessService, DatabaseChecks, StorageChecks],
})
export class HealthModule {}
