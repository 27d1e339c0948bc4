import { REPOSITORY_ACTIONS, type RepositoryAction } from '../accounts/grants/role.js';
import { RegistryError } from '../oci/errors.js';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';
import { TooManyScopesError } from './token.errors.js';

/** A resource, with actions on it: what a client asks a token for, and what a token has in `access`. */
export type ScopeAccess =
  | {
      readonly type: 'repository';
      readonly name: RepositoryName;
      readonly actions: readonly RepositoryAction[];
    }
  | { readonly type: 'registry'; readonly name: 'catalog'; readonly actions: readonly ['*'] };

/** The most scopes of one token. A name may have 255 characters, and a token goes into each request. */
export const MAX_SCOPES = 60;

/**
 * Parses the values of `scope` (distribution, "Token Scope Documentation"): `type:name:action,action`.
 * Clients repeat the parameter, or separate scopes by a space in one (crane, OAuth). A class after the type,
 * `repository(plugin)`, is ignored. What this registry does not know is left out.
 *
 * @returns each resource once, with its actions in one order.
 * @throws TooManyScopesError
 */
export function parseScopes(values: readonly string[]): ScopeAccess[] {
  const texts = values.flatMap((value) => value.split(' ')).filter((text) => text !== '');
  if (texts.length > MAX_SCOPES) throw new TooManyScopesError(texts.length, MAX_SCOPES);
  const byResource = new Map<string, ScopeAccess>();
  for (const text of texts) {
    const { type, name, actions } = split(text);
    const resource = `${type}:${name}`;
    const scope = toScope(type, name, [...(byResource.get(resource)?.actions ?? []), ...actions]);
    if (scope !== undefined) byResource.set(resource, scope);
  }
  return [...byResource.values()];
}

/**
 * A scope of parts that were not checked. `*` stands for all actions on a repository; the catalogue has no
 * other. Undefined for other types, for names that are no repository's, and without a known action.
 */
export function toScope(type: string, name: string, actions: readonly string[]): ScopeAccess | undefined {
  const isForAll = actions.includes('*');
  if (type === 'registry' && name === 'catalog' && isForAll) return { type, name, actions: ['*'] };
  if (type !== 'repository') return undefined;
  const known = REPOSITORY_ACTIONS.filter((action) => isForAll || actions.includes(action));
  const repository = known.length === 0 ? undefined : repositoryName(name);
  return repository && { type, name: repository, actions: known };
}

/** The scopes as one text, as in `scope` of a response (RFC 6749, section 5.1). */
export function formatScopes(scopes: readonly ScopeAccess[]): string {
  return scopes.map(formatScope).join(' ');
}

export function formatScope({ type, name, actions }: ScopeAccess): string {
  return `${type}:${name}:${actions.join(',')}`;
}

/** A name may contain colons: of a registry's port, which no repository here has. */
function split(text: string): { type: string; name: string; actions: string[] } {
  const first = text.indexOf(':');
  const last = text.lastIndexOf(':');
  if (first === last) return { type: '', name: '', actions: [] };
  return {
    type: text.slice(0, first).replace(/\([a-z0-9-]*\)$/, ''),
    name: text.slice(first + 1, last),
    actions: text.slice(last + 1).split(','),
  };
}

function repositoryName(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
