import { RegistryError } from '../../oci/errors.js';

/**
 * Too many requests are after the same thing, or after the same connections: this one didn't get its turn,
 * and has changed nothing. 503 and not 429, since docker gives up on a 429.
 */
export class ContendedError extends RegistryError {
  constructor(options: { readonly cause?: unknown } = {}) {
    super('TOOMANYREQUESTS', 'too many requests wait for the same thing; retry in a moment', {
      ...options,
      status: 503,
      headers: { 'Retry-After': '1' },
    });
  }
}
