import { Injectable } from '@nestjs/common';
import type { RepositoryName } from '../oci/repository-name.js';
import type { AccessRequest } from './access.js';
import type { Principal } from './principal.js';

/**
 * Decides who may do what. Access is open: everybody may do everything, which the configuration allows beyond
 * loopback only when told so in words. Every request on `/v2` and `/api/v1` comes through here nevertheless.
 */
@Injectable()
export class AccessService {
  isAllowed(_principal: Principal, _request: AccessRequest): Promise<boolean> {
    return Promise.resolve(true);
  }

  mayPull(principal: Principal, name: RepositoryName): Promise<boolean> {
    return this.isAllowed(principal, { type: 'repository', name, actions: ['pull'] });
  }
}
