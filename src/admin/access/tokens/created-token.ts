import type { Request } from 'express';
import { registryAddress } from '../../../access/registry-address.js';
import type { IssuedSecret } from '../../../accounts/secret.service.js';
import type { CreatedTokenDto } from './token.dto.js';
import { usageOf } from './usage.js';

/** The response to the creation of a secret, with lines to paste for the address that the client called. */
export function createdToken(request: Request, account: string, secret: IssuedSecret): CreatedTokenDto {
  return { ...secret, usage: usageOf(registryAddress(request), account, secret.secret) };
}
