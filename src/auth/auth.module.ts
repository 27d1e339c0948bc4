import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { JwksController } from './jwks.controller.js';
import { TokenController } from './token.controller.js';
import { TokenService } from './token.service.js';

/** `/auth`: where clients get tokens. */
@Module({
  imports: [AccessModule, AccountsModule, TokensModule],
  controllers: [TokenController, JwksController],
  providers: [TokenService],
})
export class AuthModule {}
