import { SetMetadata } from '@nestjs/common';
import type { RepositoryAction } from '../accounts/grants/role.js';
import type { RegistryAction, RegistryResource } from './decide.js';

/** The access that a handler requires. A repository's name is in the path. */
export type AccessRequirement =
  | { readonly type: 'public' }
  | { readonly type: 'signed-in' }
  | {
      readonly type: 'repository';
      readonly action: RepositoryAction;
      /** Whether the handler serves one upload session. */
      readonly isSession: boolean;
    }
  | { readonly type: 'admin-repository'; readonly action: RegistryAction }
  | { readonly type: 'registry'; readonly resource: RegistryResource; readonly action: RegistryAction };

export const ACCESS_REQUIREMENT = 'berth:access-requirement';

const requires = (requirement: AccessRequirement) => SetMetadata(ACCESS_REQUIREMENT, requirement);

/**
 * Allows every request in every mode, for handlers that tell nothing about content: load balancers have no
 * credentials.
 */
export const OpenToAll = () => requires({ type: 'public' });

/** Requires valid credentials of any account, or a token of an anonymous caller. */
export const SignedIn = () => requires({ type: 'signed-in' });

/** The handler acts on the repository in its path. */
export const OnRepository = (action: RepositoryAction) =>
  requires({ type: 'repository', action, isSession: false });

/** The handler acts on an upload session of the repository in its path. */
export const OnUploadSession = () => requires({ type: 'repository', action: 'push', isSession: true });

/**
 * The handler of the admin API acts on the repository in its path. Reading takes `pull` on it, writing takes
 * the role `maintain`; the registry's roles suffice too.
 */
export const OnAdminRepository = (action: RegistryAction) => requires({ type: 'admin-repository', action });

/** The handler acts on the registry as a whole. */
export const OnRegistry = (resource: RegistryResource, action: RegistryAction) =>
  requires({ type: 'registry', resource, action });
