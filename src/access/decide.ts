import type { Grant } from '../accounts/rights/grant-set.js';
import type { RepositoryAction } from '../accounts/grants/role.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Caller } from './caller.js';

/** What belongs to the registry as a whole: the list of repositories, the admin API, the metrics. */
export type RegistryResource = 'catalog' | 'admin' | 'metrics';
export type RegistryAction = 'read' | 'write';

/** Whether a caller may do one thing. */
export type Question =
  | { readonly repository: RepositoryName; readonly action: RepositoryAction }
  | { readonly registry: RegistryResource; readonly action: RegistryAction };

export interface Decision {
  readonly isAllowed: boolean;
  /** The caller's grants that allow it, if it takes a grant. */
  readonly grants: readonly Grant[];
  /** What is missing; null if it is allowed. */
  readonly missing: 'grant' | 'role' | 'scope of the token' | 'ceiling of the secret' | null;
}

/**
 * The one decision about access: the caller's live rights, limited by the token's access and by the secret's
 * ceiling. It sees names only, never what exists: a refusal tells nothing about content.
 */
export function decide(caller: Caller, question: Question): Decision {
  return 'registry' in question ? decideRegistry(caller, question) : decideRepository(caller, question);
}

/** As {@link decide}, without reasons. */
export function isAllowed(caller: Caller, question: Question): boolean {
  if ('registry' in question) return decideRegistry(caller, question).isAllowed;
  const { repository, action } = question;
  return (
    (isAdmin(caller) || caller.grants.allows(repository, action)) &&
    isWithinToken(caller, 'repository', repository, action) &&
    isWithinCeiling(caller, action)
  );
}

function decideRepository(
  caller: Caller,
  { repository, action }: Extract<Question, { repository: unknown }>,
): Decision {
  const grants = caller.grants.thatAllow(repository, action);
  const missing =
    grants.length === 0 && !isAdmin(caller)
      ? 'grant'
      : !isWithinToken(caller, 'repository', repository, action)
        ? 'scope of the token'
        : !isWithinCeiling(caller, action)
          ? 'ceiling of the secret'
          : null;
  return { isAllowed: missing === null, grants, missing };
}

function decideRegistry(
  caller: Caller,
  { registry, action }: Extract<Question, { registry: unknown }>,
): Decision {
  const missing = !hasRole(caller, registry, action)
    ? 'role'
    : !isWithinToken(caller, 'registry', registry, action)
      ? 'scope of the token'
      : action === 'write' && caller.ceiling !== null
        ? 'ceiling of the secret'
        : null;
  return { isAllowed: missing === null, grants: [], missing };
}

/** The catalogue is for every signed-in caller: it contains what the caller may pull. */
function hasRole(caller: Caller, registry: RegistryResource, action: RegistryAction): boolean {
  if (isAdmin(caller)) return true;
  if (action === 'write') return false;
  return registry === 'catalog' || caller.account?.registryRole === 'reader';
}

function isAdmin({ account }: Caller): boolean {
  return account?.registryRole === 'admin';
}

function isWithinCeiling({ ceiling }: Caller, action: RepositoryAction): boolean {
  return ceiling === null || action === ceiling;
}

/** A name in a token is a name, never a pattern. */
function isWithinToken(
  { credential }: Caller,
  type: 'repository' | 'registry',
  name: string,
  action: string,
): boolean {
  if (credential.kind !== 'token') return true;
  return credential.access.some(
    (access) =>
      access.type === type &&
      access.name === name &&
      // Docker's scope of the catalogue is `registry:catalog:*`.
      (access.type === 'registry' || access.actions.some((each) => each === action)),
  );
}
