import { Global, Module } from '@nestjs/common';
import { JobStore } from './job.store.js';
import { Jobs } from './jobs.js';

/** Background jobs: what they are ({@link Jobs}), and how they run. */
@Global()
@Module({ providers: [Jobs, JobStore], exports: [Jobs] })
export class JobsModule {}
