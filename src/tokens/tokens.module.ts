import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { KeyRing } from './key-ring.js';
import { KeyRotation } from './key-rotation.js';
import { SigningKeyStore } from './signing-key.store.js';
import { TokenIssuer } from './token-issuer.js';
import { TokenVerifier } from './token-verifier.js';

/** Signing keys, and the tokens that they sign. */
@Module({
  imports: [AccountsModule],
  providers: [SigningKeyStore, KeyRing, KeyRotation, TokenIssuer, TokenVerifier],
  exports: [KeyRing, TokenIssuer, TokenVerifier],
})
export class TokensModule {}
