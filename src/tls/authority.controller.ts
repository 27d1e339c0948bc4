import { All, Controller, Get, Header } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
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

  /** @returns PEM, with the type by which browsers offer to install it. */
  @Get('ca.crt')
  @Header('Content-Type', 'application/x-x509-ca-cert')
  @Header('Cache-Control', 'no-cache')
  certificate(): string {
    const { authority } = this.certificates;
    if (authority === undefined) throw new NoAuthorityError();
    return authority.cert;
  }

  @All('ca.crt')
  others(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }
}
