import { Injectable } from '@nestjs/common';
import type { RepositoryName } from '../oci/repository-name.js';
import type { AccessRequest } from './access.js';
import type { Principal } from './principal.js';

/**
 * Decides whether a principal may do something. Access is open: every request is allowed. The configuration
 * requires `ACCESS_MODE=open` to serve more than loopback. Every request on `/v2` and `/api/v1` is checked
 * here.
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
