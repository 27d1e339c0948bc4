import type { GrantRole } from '../../database/entities/grant.entity.js';

/** Actions on a repository, named as in Docker's token scopes. */
export const REPOSITORY_ACTIONS = ['pull', 'push', 'delete'] as const;
export type RepositoryAction = (typeof REPOSITORY_ACTIONS)[number];

/** What a grant with a role allows. */
export const ACTIONS_OF: Readonly<Record<GrantRole, readonly RepositoryAction[]>> = {
  pull: ['pull'],
  push: ['pull', 'push'],
  maintain: ['pull', 'push', 'delete'],
};
