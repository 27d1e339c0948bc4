import { Module } from '@nestjs/common';
import { AuthorityController } from './authority.controller.js';
import { TlsAuthority } from './tls-authority.js';
import { TlsAuthorityStore } from './tls-authority.store.js';
import { TlsCertificates } from './tls-certificates.js';

/** The certificate of the server. */
@Module({
  controllers: [AuthorityController],
  providers: [TlsCertificates, TlsAuthority, TlsAuthorityStore],
})
export class TlsModule {}
