import { RegistryError } from '../../oci/errors.js';

/** Too many requests wait for the same lock or connections. This one timed out and changed nothing; a retry may work. */
export class ContendedError extends RegistryError {
  constructor(options: { readonly cause?: unknown } = {}) {
    super('TOOMANYREQUESTS', 'too many requests wait for the same thing; retry in a moment', options);
  }
}
