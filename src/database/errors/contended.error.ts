import { RegistryError } from '../../oci/errors.js';

/** Too many requests wait for the same lock or connections. This one changed nothing and may be retried. */
export class ContendedError extends RegistryError {
  constructor(options: { readonly cause?: unknown } = {}) {
    super('TOOMANYREQUESTS', 'too many concurrent requests; retry in a moment', options);
  }
}
