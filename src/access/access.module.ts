import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccessGuard } from './access.guard.js';
import { AccessService } from './access.service.js';
import { DatabaseSpaceGuard } from './database-space.guard.js';
import { LoopbackPolicy } from './loopback-policy.js';

/** Access control and the check for disk space. The guards run before every handler, in this order. */
@Module({
  providers: [
    AccessService,
    LoopbackPolicy,
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_GUARD, useClass: DatabaseSpaceGuard },
  ],
  exports: [AccessService, LoopbackPolicy],
})
export class AccessModule {}
