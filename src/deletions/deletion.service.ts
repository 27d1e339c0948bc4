import { BadRequestException, ConflictException, Injectable } from '@nestjs/common';
import type { AuditOrigin } from '../audit/audit-event.js';
import { Configuration } from '../config/configuration.js';
import { NameUnknownError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import {
  DeletionUnknownError,
  nameTaken,
  neededByIndex,
  repositoryDeleted,
  tagNotRestored,
  tooLate,
  wrongState,
} from './deletion.errors.js';
import { DeletionStore, type Refusal } from './deletion.store.js';

/** Deletes repositories, restores what was deleted, and ends the windows of a deletion. */
@Injectable()
export class DeletionService {
  constructor(
    private readonly deletions: DeletionStore,
    private readonly configuration: Configuration,
  ) {}

  /**
   * Deletes a repository: its name is free at once, and its content can be restored for
   * `GC_UNDELETE_SECONDS`. Returns the deletion's id.
   *
   * @throws NameUnknownError
   */
  async deleteRepository(name: RepositoryName, origin: AuditOrigin): Promise<string> {
    const id = await this.deletions.deleteRepository(name, origin);
    if (id === undefined) throw new NameUnknownError(name);
    return id;
  }

  /**
   * Restores a deletion. A large one is restored in the background; its state is `restoring` until then.
   *
   * @param as another name for a repository.
   * @throws DeletionUnknownError; ConflictException if it can't be restored; BadRequestException if `as` is
   *   given for something else than a repository.
   */
  async restore(id: string, as: RepositoryName | undefined, origin: AuditOrigin): Promise<void> {
    const outcome = await this.deletions.restore(id, as, origin);
    if (outcome.refused !== undefined) throw this.errorOf(id, outcome);
  }

  /**
   * Ends the windows of a deletion: the next run of the collector purges it, and deletes what only it needs.
   *
   * @throws DeletionUnknownError; ConflictException if it was restored or purged, or if an index that can be
   *   restored lists one of its manifests.
   */
  async requestPurge(id: string, origin: AuditOrigin): Promise<void> {
    const outcome = await this.deletions.requestPurge(id, origin);
    if (outcome.refused !== undefined) throw this.errorOf(id, outcome);
  }

  private errorOf(id: string, refusal: Refusal): Error {
    switch (refusal.refused) {
      case 'unknown':
        return new DeletionUnknownError(id);
      case 'as':
        return new BadRequestException(
          `as: expected for the deletion of a repository only, and ${id} is that of a ${refusal.kind}`,
        );
      case 'state':
        return new ConflictException(wrongState(id, refusal.state));
      case 'late':
        return new ConflictException(tooLate(id, this.configuration.gcUndeleteSeconds));
      case 'taken':
        return new ConflictException(nameTaken(refusal.name));
      case 'repository':
        return new ConflictException(repositoryDeleted(id, refusal.deletionId));
      case 'tag':
        return new ConflictException(tagNotRestored(refusal));
      case 'needed':
        return new ConflictException(neededByIndex(refusal.manifest, refusal.index, refusal.deletionId));
    }
  }
}
