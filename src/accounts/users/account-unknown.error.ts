import type { AccountKind } from '../../database/entities/account.entity.js';
import { RegistryError } from '../../oci/errors.js';

/** There is no user, or no robot, of this name. */
export class AccountUnknownError extends RegistryError {
  constructor(kind: AccountKind, name: string) {
    super('NAME_UNKNOWN', `no ${kind} has the name ${name}`);
  }
}
