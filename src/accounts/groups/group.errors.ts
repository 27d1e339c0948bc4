import { RegistryError } from '../../oci/errors.js';

/** There is no group of this name. */
export class GroupUnknownError extends RegistryError {
  constructor(name: string) {
    super('NAME_UNKNOWN', `no group has the name ${name}`);
  }
}

/** The account is not a member of the group. */
export class MemberUnknownError extends RegistryError {
  constructor(group: string, account: string) {
    super('NAME_UNKNOWN', `${account} is not a member of the group ${group}`);
  }
}

/** There is no account of this name: neither a user nor a robot. */
export class AnyAccountUnknownError extends RegistryError {
  constructor(name: string) {
    super('NAME_UNKNOWN', `no account has the name ${name}`);
  }
}
