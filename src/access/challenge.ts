import type { Request } from 'express';
import type { AccessRequirement } from './access.js';
import type { UnauthorizedError } from './access.errors.js';

/** `WWW-Authenticate` of a 401 (RFC 6750, section 3). */
export function challenge(
  _request: Request,
  _requirement: AccessRequirement,
  { failure }: UnauthorizedError,
): string {
  return `Bearer realm="berth"${failure === undefined ? '' : `,error="${failure}"`}`;
}
