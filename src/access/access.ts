import { SetMetadata } from '@nestjs/common';
import type { RepositoryName } from '../oci/repository-name.js';

/** Actions on a repository, named as in Docker's token scopes. */
export type RepositoryAction = 'pull' | 'push' | 'delete';

/** An action on a resource. */
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

/** The access that a handler requires. The repository's name is in the path. */
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
 * Allows every request in every mode, for handlers that tell nothing about content: load balancers have no
 * credentials.
 */
export const OpenToAll = () =>
  SetMetadata(ACCESS_REQUIREMENT, { type: 'public' } satisfies AccessRequirement);
