import type { RepositoryName } from '../oci/repository-name.js';

/** What was deleted: by a request, or by the collector (`untagged`, `retention`). */
export const DELETION_KINDS = ['tag', 'manifest', 'repository', 'untagged', 'retention'] as const;
export type DeletionKind = (typeof DELETION_KINDS)[number];

/**
 * ```
 * restorable ──┬── restoring ── restored
 *              └── purging ──── purged
 * ```
 */
export const DELETION_STATES = ['restorable', 'restoring', 'restored', 'purging', 'purged'] as const;
export type DeletionState = (typeof DELETION_STATES)[number];

/** Why a tag of a deletion was not restored. */
export const TAG_REASONS = {
  taken: 'the name is a tag of another manifest now',
  deleted: 'its manifest is part of another deletion',
  purged: 'its manifest was purged',
} as const;

/** A tag that was deleted and is not there again. */
export interface TagNotRestored {
  readonly tag: string;
  readonly reason: keyof typeof TAG_REASONS;
  /** The deletion that its manifest is part of. */
  readonly deletionId?: string;
}

/** Whom a deletion concerns: what access is decided by. */
export interface DeletionNames {
  /** The name that the repository had. */
  readonly repository: RepositoryName;
  /** The name that the repository has now; null: it is deleted. */
  readonly currentRepository: RepositoryName | null;
}
