import { All, Controller, Get, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import { NoAuthorityError } from './no-authority.error.js';
import { TlsCertificates } from './tls-certificates.js';

/** The certificate of the authority, for clients to trust it. It is public: only its key is secret. */
@ApiExcludeController()
@Controller('auth')
@OpenToAll()
export class AuthorityController {
  constructor(private readonly certificates: TlsCertificates) {}

  /** Sends PEM, with the type by which browsers offer to install it. */
  @Get('ca.crt')
  certificate(@Res() response: Response): void {
    const { authority } = this.certificates;
    if (authority === undefined) throw new NoAuthorityError();
    response.set({ 'Content-Type': 'application/x-x509-ca-cert', 'Cache-Control': 'no-cache' });
    // Bytes: Express would add a charset to the type of text.
    response.send(Buffer.from(authority.cert));
  }

  @All('ca.crt')
  others(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }
}
