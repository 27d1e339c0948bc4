import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { EVERY_NAME, mergeRanges, type NameRange, onlyName } from '../oci/name-range.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Caller } from './caller.js';
import { isAllowed, type Question } from './decide.js';

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
