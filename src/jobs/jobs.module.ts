import { Global, Module } from '@nestjs/common';
import { JobRequests } from './job-requests.js';
import { JobStore } from './job.store.js';
import { Jobs } from './jobs.js';

/** Background jobs: what they are ({@link Jobs}), and how they run. */
@Global()
@Module({ providers: [Jobs, JobRequests, JobStore], exports: [Jobs, JobRequests] })
export class JobsModule {}
