import { RegistryError } from '../oci/errors.js';
import type { DeletionState, TagNotRestored } from './deletion.js';

/** There is no deletion of this id, or the caller may not see it. */
export class DeletionUnknownError extends RegistryError {
  constructor(id: string) {
    super('NAME_UNKNOWN', `no deletion has the id ${id}`);
  }
}

const STATES: Readonly<Record<DeletionState, string>> = {
  restorable: 'can be restored',
  restoring: 'is being restored',
  restored: 'was restored already',
  purging: 'is being purged',
  purged: 'was purged',
};

/** The deletion's state does not allow it. */
export function wrongState(id: string, state: DeletionState): string {
  return `the deletion ${id} ${STATES[state]}`;
}

export function tooLate(id: string, undeleteSeconds: number): string {
  return (
    `the deletion ${id} is older than GC_UNDELETE_SECONDS, ${undeleteSeconds} s: it can't be restored any more, ` +
    'and the collector purges it with its next run'
  );
}

export function nameTaken(name: string): string {
  return `the repository ${name} exists: restore this one under another name, with {"as": "…"}`;
}

export function repositoryDeleted(id: string, deletionId: string | null): string {
  return deletionId === null
    ? `the repository of the deletion ${id} was purged`
    : `the repository of the deletion ${id} is deleted itself: restore the deletion ${deletionId} first`;
}

/** The one tag of a deletion can't be restored now. */
export function tagNotRestored({ tag, reason, deletionId }: TagNotRestored): string {
  if (reason === 'taken') return `the tag ${tag} points at another manifest now: delete that tag first`;
  if (deletionId === undefined) return `the manifest of the tag ${tag} was purged`;
  return `the manifest of the tag ${tag} is deleted itself: restore the deletion ${deletionId} first`;
}

/** An index that can be restored lists a manifest of the deletion. */
export function neededByIndex(manifest: string, index: string, deletionId: string): string {
  return (
    `the index ${index} lists ${manifest} and can be restored: ` +
    `purge or restore its deletion ${deletionId} first`
  );
}
