import { Injectable } from '@nestjs/common';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { AccessService } from '../../access/access.service.js';
import type { RegistryAction } from '../../access/decide.js';
import { refusal } from '../../access/refusal.js';
import { DeletionUnknownError } from '../../deletions/deletion.errors.js';
import { DeletionsQuery } from './deletions.query.js';
import { RegistryError } from '../../oci/errors.js';
import type { RepositoryName } from '../../oci/repository-name.js';

const LIST_OF_ALL =
  'the deletions of all repositories take the registry role reader or admin: list those of one repository, ' +
  'with ?repository=NAME, which takes the role pull on it';

/**
 * Access to one deletion, which only its row says the repository of. It takes the same rights as the
 * repository in the admin API: `pull` to read, `maintain` to restore and purge, or a role on the registry.
 */
@Injectable()
export class DeletionAccess {
  constructor(
    private readonly access: AccessService,
    private readonly deletions: DeletionsQuery,
  ) {}

  /**
   * Checks the rights on the repository of a deletion: under the name that it had, and if it has another one
   * now, under that one, too.
   *
   * @throws DeletionUnknownError if the caller may not see it; RegistryError if it may only see it.
   */
  async expect({ caller }: AuthorizedRequest, id: string, action: RegistryAction): Promise<void> {
    const { repository, currentRepository } = await this.deletions.names(id);
    const names = [...new Set([repository, currentRepository ?? repository])];
    const areAllowed = (what: RegistryAction) =>
      names.every((name) => this.access.isAllowedInAdminApi(caller, name, what));
    if (!areAllowed('read')) throw new DeletionUnknownError(id);
    if (!areAllowed(action)) throw refusal(caller, { type: 'admin-repository', action }, repository);
  }

  /** @throws RegistryError unless the caller may list the deletions of a repository, or of all. */
  expectList({ caller }: AuthorizedRequest, repository: RepositoryName | undefined): void {
    if (repository === undefined) {
      if (!this.access.isAllowed(caller, { registry: 'admin', action: 'read' }))
        throw new RegistryError('DENIED', LIST_OF_ALL);
    } else if (!this.access.isAllowedInAdminApi(caller, repository, 'read'))
      throw refusal(caller, { type: 'admin-repository', action: 'read' }, repository);
  }

  /** The deletion without the name of a repository that the caller may not read. */
  visible<T extends { readonly restoredAs: RepositoryName | null }>(
    { caller }: AuthorizedRequest,
    row: T,
  ): T {
    const { restoredAs } = row;
    const isVisible = restoredAs === null || this.access.isAllowedInAdminApi(caller, restoredAs, 'read');
    return isVisible ? row : { ...row, restoredAs: null };
  }

  /** @throws RegistryError unless the caller may push to the repository. */
  expectPush({ caller }: AuthorizedRequest, repository: RepositoryName): void {
    if (!this.access.isAllowed(caller, { repository, action: 'push' }))
      throw refusal(caller, { type: 'repository', action: 'push', isSession: false }, repository);
  }
}
