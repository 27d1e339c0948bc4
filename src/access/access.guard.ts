import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import type { RequestRecord } from '../observability/logged-request.js';
import { RegistryError } from '../oci/errors.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { ACCESS_REQUIREMENT, type AccessRequest, type AccessRequirement } from './access.js';
import { AccessService } from './access.service.js';
import { LoopbackPolicy } from './loopback-policy.js';
import { ANONYMOUS, type Principal } from './principal.js';

/** A request that the guard has accepted. */
export interface AuthorizedRequest extends Request, RequestRecord {
  principal: Principal;
  /** The repository in the path, if it has one. */
  repository?: RepositoryName;
}

/**
 * Runs before every handler. It parses the repository's name, so that the decision and the handler use the
 * same name. A handler without a requirement is never called.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly access: AccessService,
    private readonly loopback: LoopbackPolicy,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthorizedRequest>();
    const requirement = this.reflector.getAllAndOverride<AccessRequirement | undefined>(ACCESS_REQUIREMENT, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (requirement === undefined) throw new RegistryError('DENIED');
    request.principal = ANONYMOUS;
    if (requirement.type === 'public') return true;
    this.loopback.refuseForeign(request);
    if (!(await this.access.isAllowed(request.principal, toAccessRequest(requirement, request)))) {
      throw new RegistryError('DENIED');
    }
    return true;
  }
}

function toAccessRequest(
  requirement: Exclude<AccessRequirement, { type: 'public' }>,
  request: AuthorizedRequest,
): AccessRequest {
  if (requirement.type === 'registry') return requirement;
  const parameter: unknown = request.params.name;
  const name = parseRepositoryName(Array.isArray(parameter) ? parameter.join('/') : String(parameter));
  request.repository = name;
  return { ...requirement, name };
}
