import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { RegistryError } from '../oci/errors.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { ACCESS_REQUIREMENT, type AccessRequest, type AccessRequirement } from './access.js';
import { AccessService } from './access.service.js';
import { LoopbackPolicy } from './loopback-policy.js';
import { ANONYMOUS, type Principal } from './principal.js';

/** A request that the guard let through. */
export interface AuthorizedRequest extends Request {
  principal: Principal;
  /** The repository in the path, where there is one. */
  repository?: RepositoryName;
}

/**
 * Stands before every handler. The repository's name is parsed here, so that what is decided on is what is
 * acted on. A handler that names no requirement is never reached.
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
