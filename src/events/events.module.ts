import { Global, Module } from '@nestjs/common';
import { UploadEventLog } from './upload-event-log.js';

/** Events of uploads and tags: the vocabulary (`events.ts`) and how they are recorded. */
@Global()
@Module({ providers: [UploadEventLog], exports: [UploadEventLog] })
export class EventsModule {}
