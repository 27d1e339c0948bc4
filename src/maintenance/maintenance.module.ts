import { Global, Module } from '@nestjs/common';
import { ExclusiveTask } from './exclusive-task.js';
import { UploadClock } from './upload-clock.js';

/** What periodic work is built from. */
@Global()
@Module({ providers: [ExclusiveTask, UploadClock], exports: [ExclusiveTask, UploadClock] })
export class MaintenanceModule {}
