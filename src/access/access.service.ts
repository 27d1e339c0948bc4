import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { EVERY_NAME, mergeRanges, type NameRange, onlyName } from '../oci/name-range.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Caller } from './caller.js';
import { isAllowed, type Question, type RegistryAction } from './decide.js';

/** Decides whether a caller may do something, in every access mode. */
@Injectable()
export class AccessService {
  private readonly isOpen: boolean;

  constructor({ access }: Configuration) {
    this.isOpen = access !== 'token';
  }

  isAllowed(caller: Caller, question: Question): boolean {
    return this.isOpen || isAllowed(caller, question);
  }

  mayPull(caller: Caller, repository: RepositoryName): boolean {
    return this.isAllowed(caller, { repository, action: 'pull' });
  }

  /**
   * Whether the caller may read or change a repository in the admin API: by its rights on the repository, or
   * by a role on the registry.
   */
  isAllowedInAdminApi(caller: Caller, repository: RepositoryName, action: RegistryAction): boolean {
    return (
      this.isAllowed(caller, { registry: 'admin', action }) ||
      this.isAllowed(caller, { repository, action: action === 'read' ? 'pull' : 'delete' })
    );
  }

  /** The repositories that the caller may pull: its catalogue, whatever its token is for. */
  pullableNames({ account, grants }: Caller): readonly NameRange[] {
    return this.isOpen || account?.registryRole === 'admin' ? [EVERY_NAME] : grants.ranges('pull');
  }

  /** The repositories that this request may mount from. A token limits them to its own. Sorted. */
  mountableNames(caller: Caller): readonly NameRange[] {
    const { credential } = caller;
    if (this.isOpen || credential.kind !== 'token') return this.pullableNames(caller);
    const names = credential.access.flatMap(({ type, name }) =>
      type === 'repository' && this.mayPull(caller, name) ? [onlyName(name)] : [],
    );
    return mergeRanges(names);
  }
}
