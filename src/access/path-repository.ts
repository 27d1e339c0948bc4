import type { Request } from 'express';
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.js';

/** The repository in the path. @throws NameInvalidError */
export function parsePathRepository({ params }: Request): RepositoryName {
  const parameter: unknown = params['name'];
  return parseRepositoryName(Array.isArray(parameter) ? parameter.join('/') : String(parameter));
}
