import type { Request } from 'express';
import { publicAddress } from '../../../access/registry-address.js';
import type { Configuration } from '../../../config/configuration.js';
import type { IssuedSecret } from '../../../accounts/secrets/secret.service.js';
import type { CreatedTokenDto } from './token.dto.js';
import { usageOf } from './usage.js';

/**
 * The response to the creation of a secret, with lines to paste: for `PUBLIC_URL`, or else for the address
 * that the client called.
 */
export function createdToken(
  request: Request,
  configuration: Pick<Configuration, 'publicUrl'>,
  account: string,
  secret: IssuedSecret,
): CreatedTokenDto {
  return { ...secret, usage: usageOf(publicAddress(request, configuration), account, secret.secret) };
}
