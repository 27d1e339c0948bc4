import { SetMetadata } from '@nestjs/common';
import type { RepositoryName } from '../oci/repository-name.js';

/** What can be done to a repository, in the words of Docker's token scopes. */
export type RepositoryAction = 'pull' | 'push' | 'delete';

/** What a request wants to do to what. */
export type AccessRequest =
  | {
      readonly type: 'repository';
      readonly name: RepositoryName;
      readonly actions: readonly RepositoryAction[];
    }
  | {
      readonly type: 'registry';
      readonly name: 'base' | 'catalog' | 'admin';
      readonly actions: readonly ('read' | 'write')[];
    };

/** What a handler's requests want, the repository's name being in the path. */
export type AccessRequirement =
  | { readonly type: 'public' }
  | { readonly type: 'repository'; readonly actions: readonly RepositoryAction[] }
  | Extract<AccessRequest, { type: 'registry' }>;

export const ACCESS_REQUIREMENT = 'berth:access-requirement';

/** The handler acts on the repository in its path. */
export const OnRepository = (...actions: RepositoryAction[]) =>
  SetMetadata(ACCESS_REQUIREMENT, { type: 'repository', actions } satisfies AccessRequirement);

/** The handler acts on the registry as a whole. */
export const OnRegistry = (name: 'base' | 'catalog' | 'admin', ...actions: ('read' | 'write')[]) =>
  SetMetadata(ACCESS_REQUIREMENT, { type: 'registry', name, actions } satisfies AccessRequirement);

/**
 * Anybody may ask, in every mode: a load balancer has no credentials. For what tells nothing about the
 * content.
 */
export const OpenToAll = () =>
  SetMetadata(ACCESS_REQUIREMENT, { type: 'public' } satisfies AccessRequirement);
