import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { Configuration } from '../config/configuration.js';
import type { RequestRecord } from '../observability/logged-request.js';
import { RegistryError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { ACCESS_REQUIREMENT, type AccessRequirement } from './access.js';
import { UnauthorizedError } from './access.errors.js';
import { AccessService } from './access.service.js';
import { Authenticator } from './authenticator.js';
import { ANONYMOUS, type Caller } from './caller.js';
import { Challenges } from './challenges.js';
import { LateTokens } from './late-tokens.js';
import { LoopbackPolicy } from './loopback-policy.js';
import { parseAdminPathRepository, parsePathRepository } from './path-repository.js';
import { refusal } from './refusal.js';

/** A request that the guard has accepted. */
export interface AuthorizedRequest extends Request, RequestRecord {
  caller: Caller;
  /** The repository in the path, if it has one. */
  repository?: RepositoryName;
}

/**
 * Runs before every handler. It parses the repository's name, so that the decision and the handler use the
 * same name. A handler without a requirement is never called.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  private readonly isOpen: boolean;

  constructor(
    private readonly reflector: Reflector,
    configuration: Configuration,
    private readonly authenticator: Authenticator,
    private readonly lateTokens: LateTokens,
    private readonly access: AccessService,
    private readonly challenges: Challenges,
    private readonly loopback: LoopbackPolicy,
  ) {
    this.isOpen = configuration.access !== 'token';
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthorizedRequest>();
    const requirement = this.reflector.getAllAndOverride<AccessRequirement | undefined>(ACCESS_REQUIREMENT, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (requirement === undefined) throw new RegistryError('DENIED');
    request.caller = ANONYMOUS;
    if (requirement.type === 'public') return true;
    if (!this.isOpen) return this.authorize(request, requirement);
    this.loopback.refuseForeign(request);
    parseRepository(request, requirement);
    return true;
  }

  private async authorize(request: AuthorizedRequest, requirement: AccessRequirement): Promise<boolean> {
    try {
      const isRegistry = request.path.startsWith('/v2');
      request.caller = await this.authenticator.authenticate(request, { tokens: isRegistry });
      const { caller } = request;
      if (caller.credential.kind === 'none') throw new UnauthorizedError();
      if (caller.credential.kind === 'token' && caller.credential.isLate)
        await this.lateTokens.refuseOthers(request, requirement, caller);
      parseRepository(request, requirement);
      if (!this.mayCall(request, requirement)) throw refusal(caller, requirement, request.repository);
      return true;
    } catch (error) {
      if (error instanceof UnauthorizedError)
        error.challenge = this.challenges.describe(request, requirement, error);
      throw error;
    }
  }

  private mayCall({ caller, repository }: AuthorizedRequest, requirement: AccessRequirement): boolean {
    switch (requirement.type) {
      case 'public':
      case 'signed-in':
        return true;
      case 'registry': {
        const { resource: registry, action } = requirement;
        return this.access.isAllowed(caller, { registry, action });
      }
      case 'repository': {
        const { action } = requirement;
        return repository !== undefined && this.access.isAllowed(caller, { repository, action });
      }
      case 'admin-repository': {
        const { action } = requirement;
        return repository !== undefined && this.access.isAllowedInAdminApi(caller, repository, action);
      }
    }
  }
}

function parseRepository(request: AuthorizedRequest, { type }: AccessRequirement): void {
  if (type === 'repository') request.repository = parsePathRepository(request);
  if (type === 'admin-repository') request.repository = parseAdminPathRepository(request);
}
