import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { HealthController } from './health.controller.js';
import { ReadinessService } from './readiness.service.js';

/** `/health/live` and `/health/ready`. */
@Module({
  imports: [AccessModule],
  controllers: [HealthController],
  providers: [ReadinessService],
})
export class HealthModule {}
