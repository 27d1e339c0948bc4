import { RegistryError } from '../../oci/errors.js';

/** The account has no secret with this id, or it was revoked before. */
export class SecretUnknownError extends RegistryError {
  constructor() {
    super('NAME_UNKNOWN', 'the account has no secret with this id, or it was revoked before');
  }
}
