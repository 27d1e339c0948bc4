import { Global, Module } from '@nestjs/common';
import { IdempotentRequests } from './idempotent-requests.js';
import { RequestRetention } from './request-retention.js';

/** Requests with an `Idempotency-Key`: how they are identified, recorded once, and forgotten. */
@Global()
@Module({ providers: [IdempotentRequests, RequestRetention], exports: [IdempotentRequests] })
export class IdempotencyModule {}
