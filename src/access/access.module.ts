import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsModule } from '../accounts/accounts.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { AccessGuard } from './access.guard.js';
import { AccessService } from './access.service.js';
import { Authenticator } from './authenticator.js';
import { Challenges } from './challenges.js';
import { DatabaseSpaceGuard } from './database-space.guard.js';
import { LateTokens } from './late-tokens.js';
import { LoopbackPolicy } from './loopback-policy.js';
import { TokenLogin } from './token-login.js';

/** Access control and the check for disk space. The guards run before every handler, in this order. */
@Module({
  imports: [AccountsModule, TokensModule],
  providers: [
    Authenticator,
    Challenges,
    LateTokens,
    TokenLogin,
    AccessService,
    LoopbackPolicy,
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_GUARD, useClass: DatabaseSpaceGuard },
  ],
  exports: [AccessService, Authenticator, LoopbackPolicy],
})
export class AccessModule {}
