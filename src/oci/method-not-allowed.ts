import { UnsupportedError } from './errors.js';

/** The endpoint is there, the method isn't (RFC 9110, section 15.5.6). @param allow the methods that are. */
export function methodNotAllowed(allow: string): UnsupportedError {
  return new UnsupportedError('the endpoint does not have this method', { headers: { Allow: allow } });
}
