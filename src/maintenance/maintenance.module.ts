import { Global, Module } from '@nestjs/common';
import { ExclusiveTask } from './exclusive-task.js';
import { UploadClock } from './upload-clock.js';

/** Parts of work in the background: `PeriodicTask`, `ExclusiveTask`, and a clock for idle time. */
@Global()
@Module({ providers: [ExclusiveTask, UploadClock], exports: [ExclusiveTask, UploadClock] })
export class MaintenanceModule {}
