import { RegistryError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { AccessRequirement } from './access.js';
import { UnauthorizedError } from './access.errors.js';
import type { Caller } from './caller.js';
import { decide } from './decide.js';

const ON = { pull: 'pull from', push: 'push to', delete: 'delete in' } as const;

/**
 * The error of a caller that may not do what a handler requires. A token can be exchanged for one with more
 * access; other credentials have what they have. It depends on names and rights, never on what exists.
 */
export function refusal(
  caller: Caller,
  requirement: AccessRequirement,
  repository: RepositoryName | undefined,
): RegistryError {
  const message = describe(caller, requirement, repository);
  return caller.credential.kind === 'token'
    ? new UnauthorizedError(message, 'insufficient_scope')
    : new RegistryError('DENIED', message);
}

function describe(
  caller: Caller,
  requirement: AccessRequirement,
  repository: RepositoryName | undefined,
): string {
  const who = caller.name ?? 'an anonymous caller';
  if (requirement.type !== 'repository' || repository === undefined) {
    return `${who} has no access to ${repository ?? 'this'}: it takes a role that an administrator can give`;
  }
  const { action } = requirement;
  const what = `${ON[action]} ${repository}`;
  switch (decide(caller, { repository, action }).missing) {
    case 'scope of the token':
      return `the token is not for this: get one with the scope repository:${repository}:${action}`;
    case 'ceiling of the secret':
      return `the secret of ${who} is only for ${caller.ceiling}, so it may not ${what}`;
    default:
      return `${who} may not ${what}: ${caller.account === null ? 'log in' : 'an administrator can grant it'}`;
  }
}
