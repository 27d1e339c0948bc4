import type { ImageManifest } from '../chaos/image-content.js';
import type { RunResults } from '../chaos/run-results.js';
import type { SeededRandom } from '../chaos/seeded-random.js';
import type { Windows } from './collection-settings.js';
import type { DeletionRequests } from './deletion-requests.js';
import type { ReplicaRequests } from './replica-requests.js';
import { type KnownDeletion, RepositoryState } from './repository-state.js';

/** What operations on a repository need. */
export interface ModelTools {
  readonly requests: ReplicaRequests;
  readonly deletions: DeletionRequests;
  readonly results: RunResults;
  readonly random: SeededRandom;
  /** The windows in force. */
  windows(): Windows;
}

/** Names in a repository that only one client changes. */
export class ModelRepository {
  readonly state = new RepositoryState();
  /** Deletions that may be restored. */
  deletions: KnownDeletion[] = [];
  private count = 0;

  constructor(
    readonly name: string,
    /** Starts all tags. Several clients have names in a shared repository. */
    readonly prefix: string,
    /** No other client pushes to it. */
    readonly isPrivate: boolean,
  ) {}

  newName(): string {
    this.count += 1;
    return `${this.prefix}${this.count}`;
  }

  /** New windows apply. Deletions before may be purged, or kept. */
  beginPhase(collectsUntagged: boolean): void {
    this.deletions = [];
    this.state.collectUntagged(collectsUntagged);
  }

  /** An acknowledged push. */
  pushed(image: ImageManifest, tags: readonly string[]): void {
    this.state.pushed(image, tags);
    this.forgetRevived();
  }

  /** An acknowledged deletion of a tag or manifest. */
  deleted(kind: 'tag' | 'manifest', reference: string): void {
    const { state } = this;
    const gone = kind === 'tag' ? state.tagDeleted(reference) : state.manifestDeleted(reference);
    this.forget(reference);
    this.deletions.push({ kind, repository: this.name, reference, ...gone });
  }

  /** An acknowledged restore. */
  restored(known: KnownDeletion): void {
    this.state.restored(known);
    this.forgetRevived();
  }

  /** No deletion of this tag or manifest is restored any more. */
  forget(reference: string): void {
    this.deletions = this.deletions.filter((known) => known.reference !== reference);
  }

  dropKnown(known: KnownDeletion): void {
    this.deletions = this.deletions.filter((other) => other !== known);
  }

  /** Deletions of tags and manifests whose effect is known: nothing has replaced what they deleted. */
  restorable(): KnownDeletion[] {
    const { state } = this;
    return this.deletions.filter(({ kind, reference, tags }) => {
      // The restore of a tag is refused if its name is taken.
      const isFree = (tag: string) => !state.tags.has(tag) && !state.unsureTags.has(tag);
      if (kind === 'tag') return [...tags].every(([tag, digest]) => state.isLive(digest) && isFree(tag));
      return kind === 'manifest' && reference !== undefined && !state.isUnsure(reference);
    });
  }

  /** A manifest that lives again is part of no deletion. */
  private forgetRevived(): void {
    this.deletions = this.deletions.filter(
      ({ kind, reference }) => kind !== 'manifest' || !this.state.isLive(reference ?? ''),
    );
  }
}
