import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccessGuard } from './access.guard.js';
import { AccessService } from './access.service.js';
import { LoopbackPolicy } from './loopback-policy.js';

/** Who may do what. The guard stands before every handler of the application. */
@Module({
  providers: [AccessService, LoopbackPolicy, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [AccessService],
})
export class AccessModule {}
