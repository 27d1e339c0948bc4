import type { Request } from 'express';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';

/** The repository in the path. @throws NameInvalidError */
export function parsePathRepository({ params }: Request): RepositoryName {
  return parseRepositoryName(nameIn(params));
}

/**
 * The repository in a path of the admin API. Only digests have a colon: without one, all of `a/manifests/b`
 * is a name.
 *
 * @throws NameInvalidError
 */
export function parseAdminPathRepository({ params }: Request): RepositoryName {
  const { digest } = params;
  const end = typeof digest !== 'string' || digest.includes(':') ? '' : `/manifests/${digest}`;
  return parseRepositoryName(`${nameIn(params)}${end}`);
}

function nameIn(params: Request['params']): string {
  const parameter: unknown = params['name'];
  return Array.isArray(parameter) ? parameter.join('/') : String(parameter);
}
