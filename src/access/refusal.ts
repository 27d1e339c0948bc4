import { RegistryError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { AccessRequirement } from './access.js';
import { UnauthorizedError } from './access.errors.js';
import type { Caller } from './caller.js';
import { decide, type RegistryAction } from './decide.js';

const VERB = { read: 'read', write: 'change' } as const;
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
  if (requirement.type === 'registry') return describeRegistry(who, caller, requirement);
  if (requirement.type === 'admin-repository' && repository !== undefined)
    return describeAdminRepository(who, caller, requirement.action, repository);
  if (requirement.type !== 'repository' || repository === undefined) return `${who} has no access to this`;
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

function describeAdminRepository(
  who: string,
  caller: Caller,
  action: RegistryAction,
  repository: RepositoryName,
): string {
  const role = `the role ${action === 'read' ? 'pull' : 'maintain'} on it`;
  return `${who} may not ${VERB[action]} ${repository}: ${limitOf(caller, action) ?? takes(role)}`;
}

function describeRegistry(
  who: string,
  caller: Caller,
  { resource, action }: Extract<AccessRequirement, { type: 'registry' }>,
): string {
  if (decide(caller, { registry: resource, action }).missing === 'scope of the token')
    return `the token is not for this: get one with the scope registry:${resource}:*`;
  const roles = action === 'read' ? 'the registry role reader or admin' : 'the registry role admin';
  return `${who} may not ${VERB[action]} this: ${limitOf(caller, action) ?? takes(roles)}`;
}

/** A secret with a ceiling changes nothing, whatever the account may do. */
function limitOf({ ceiling }: Caller, action: RegistryAction): string | undefined {
  return ceiling !== null && action === 'write' ? `this secret is only for ${ceiling}` : undefined;
}

const takes = (what: string) => `that takes ${what}, which an administrator can grant`;
