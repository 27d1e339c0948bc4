import { Global, Module } from '@nestjs/common';
import { UploadEventLog } from './upload-event-log.js';

/** The events of uploads. */
@Global()
@Module({ providers: [UploadEventLog], exports: [UploadEventLog] })
export class EventsModule {}
