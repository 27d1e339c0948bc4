import { All, Controller, Get, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { Configuration } from '../config/configuration.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import { KeyRing } from '../tokens/key-ring.js';
import { NoTokensError } from '../tokens/token.errors.js';

/** Shorter than the time that a key is published before it signs. */
const MAX_AGE_SECONDS = 300;

/** The public keys of tokens (RFC 7517, section 5). */
@ApiExcludeController()
@Controller('auth/jwks')
@OpenToAll()
export class JwksController {
  constructor(
    private readonly keys: KeyRing,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  async get(@Res() response: Response): Promise<void> {
    if (this.configuration.access !== 'token') throw new NoTokensError();
    response
      .set('Cache-Control', `public, max-age=${MAX_AGE_SECONDS}`)
      .json({ keys: await this.keys.publicKeys() });
  }

  @All()
  others(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }
}
