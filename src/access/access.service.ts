import { Injectable } from '@nestjs/common';
import type { NameRange } from '../accounts/grant-set.js';
import { Configuration } from '../config/configuration.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { Caller } from './caller.js';
import { isAllowed, type Question } from './decide.js';

const EVERY_NAME: readonly NameRange[] = [{ from: '', to: null }];

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

  /** The names that the caller may pull, whatever its token is for. */
  pullableNames({ account, grants }: Caller): readonly NameRange[] {
    return this.isOpen || account?.registryRole === 'admin' ? EVERY_NAME : grants.ranges('pull');
  }
}
