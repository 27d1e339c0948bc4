import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { RepositoryAction } from '../accounts/grants/role.js';
import { isLoopback } from '../common/loopback.js';
import { Configuration } from '../config/configuration.js';
import { RegistryError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { formatScope, type ScopeAccess } from '../tokens/scope.js';
import type { AccessRequirement } from './access.js';
import type { UnauthorizedError } from './access.errors.js';
import { parsePathRepository } from './path-repository.js';
import { registryAddress } from './registry-address.js';

/**
 * `WWW-Authenticate` of a 401 (RFC 6750, section 3; distribution, "Token Authentication Specification"):
 * where to get a token, and for what. With one scope: containers/image parses no more. Never `Basic`: a
 * browser would ask for a password, and send it with each later request.
 */
@Injectable()
export class Challenges {
  constructor(private readonly configuration: Configuration) {}

  describe(request: Request, requirement: AccessRequirement, error: UnauthorizedError): string {
    const { failure, message } = error;
    const parameters = {
      ...(isRegistry(request) ? this.tokenSource(request, requirement) : { realm: 'berth' }),
      // containerd gets a new token only after an `error`; docker shows the description.
      ...(failure !== undefined && { error: failure, error_description: quotable(message) }),
    };
    const formatted = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`);
    return `Bearer ${formatted.join(',')}`;
  }

  private tokenSource(request: Request, requirement: AccessRequirement): Record<string, string> {
    const scope = scopeOf(request, requirement);
    return {
      realm: `${this.origin(request)}/auth/token`,
      service: this.configuration.authService,
      ...(scope !== undefined && { scope: formatScope(scope) }),
    };
  }

  /**
   * The scheme and host that the client used: crane and .NET refuse to send credentials to another private
   * address. Plain HTTP only for this machine itself: if a proxy that ends TLS does not report it, docker
   * would send passwords in clear text.
   */
  private origin(request: Request): string {
    const { publicUrl } = this.configuration;
    if (publicUrl !== undefined) return publicUrl;
    const { scheme, host } = registryAddress(request);
    return `${isLoopback(hostnameOf(host)) ? scheme : 'https'}://${host}`;
  }
}

/** The endpoints of the registry, whose clients get tokens. Those of the admin API log in with a password. */
function isRegistry({ path }: Request): boolean {
  return /^\/v2(?:\/|$)/.test(path);
}

/** What a token must be for. The name in the path may be malformed: the guard has not parsed it yet. */
function scopeOf(request: Request, requirement: AccessRequirement): ScopeAccess | undefined {
  if (requirement.type === 'registry' && requirement.resource === 'catalog') {
    return { type: 'registry', name: 'catalog', actions: ['*'] };
  }
  if (requirement.type !== 'repository') return undefined;
  const name = repositoryOf(request);
  return name && { type: 'repository', name, actions: SCOPE_ACTIONS[requirement.action] };
}

/** The actions to ask for. Clients that push also read what is there. */
const SCOPE_ACTIONS: Readonly<Record<RepositoryAction, readonly RepositoryAction[]>> = {
  pull: ['pull'],
  push: ['pull', 'push'],
  delete: ['delete'],
};

function repositoryOf(request: Request): RepositoryName | undefined {
  try {
    return parsePathRepository(request);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/** Text inside quotes (RFC 6750, section 3: printable ASCII without quotes and backslashes). */
function quotable(text: string): string {
  return text.replace(/["\\]|[^ -~]/g, "'");
}
