import type { ImageManifest } from '../chaos/image-content.js';

/** A tag that says which manifest it belongs to, as cosign's tags do. */
const TAG_OF_SUBJECT = /^sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/;

/** A deletion that a client asked for. */
export interface KnownDeletion {
  readonly kind: 'tag' | 'manifest' | 'repository';
  readonly repository: string;
  /** The tag or digest. */
  readonly reference: string | undefined;
  readonly tags: ReadonlyMap<string, string>;
  /** Tags that went with it, unless they were gone before. */
  readonly possibleTags?: ReadonlyMap<string, string>;
  /** For a repository: what it had. */
  readonly state?: RepositoryState;
}

/**
 * What a repository must have, as its only writer knows it. The collector deletes followers in the
 * background; until a pause shows whether it did, such manifests are unsure.
 */
export class RepositoryState {
  /** Every manifest that was ever pushed, by digest. */
  readonly images = new Map<string, ImageManifest>();
  readonly tags = new Map<string, string>();
  /** Tags that may exist. */
  readonly unsureTags = new Map<string, string>();
  /** Tags that went with a manifest, and may come back with it. */
  private readonly formerTags = new Map<string, string>();
  private readonly live = new Set<string>();
  private readonly unsure = new Set<string>();
  /** Deleted manifests whose followers may go at any time. */
  private readonly roots = new Set<string>();
  private collectsUntagged = false;

  /** Manifests that must exist. */
  liveImages(): ImageManifest[] {
    return this.imagesOf(this.live);
  }

  /** Manifests that may exist. */
  unsureImages(): ImageManifest[] {
    return this.imagesOf(this.unsure);
  }

  /** Manifests that must not exist. */
  goneImages(): ImageManifest[] {
    return [...this.images.values()].filter(
      ({ digest }) => !this.live.has(digest) && !this.unsure.has(digest),
    );
  }

  isLive(digest: string): boolean {
    return this.live.has(digest);
  }

  isUnsure(digest: string): boolean {
    return this.unsure.has(digest);
  }

  tagsOf(digest: string): string[] {
    return [...this.tags].filter(([, target]) => target === digest).map(([tag]) => tag);
  }

  /** A live index that lists the manifest. */
  liveParentOf(digest: string): ImageManifest | undefined {
    return this.liveImages().find(({ children }) => children.includes(digest));
  }

  /** A manifest that must or may exist, and that needs a blob or a child. */
  possibleParentOf(digest: string): ImageManifest | undefined {
    return [...this.liveImages(), ...this.unsureImages()].find(
      ({ children, blobs }) => children.includes(digest) || blobs.includes(digest),
    );
  }

  /** An acknowledged push: the manifest lives, and so do its children, whatever they were before. */
  pushed(image: ImageManifest, tags: readonly string[]): void {
    this.images.set(image.digest, image);
    for (const tag of tags) this.tagged(tag, image.digest);
    this.revive(image.digest);
    this.settle();
  }

  tagDeleted(tag: string): Pick<KnownDeletion, 'tags'> {
    const digest = this.tags.get(tag) ?? this.unsureTags.get(tag);
    this.dropTag(tag);
    this.settle();
    return { tags: new Map(digest === undefined ? [] : [[tag, digest]]) };
  }

  /** An acknowledged deletion. Returns the tags that went with it. */
  manifestDeleted(digest: string): Pick<KnownDeletion, 'tags' | 'possibleTags'> {
    this.live.delete(digest);
    this.unsure.delete(digest);
    this.roots.add(digest);
    const tags = new Map(this.tagsOf(digest).map((tag) => [tag, digest]));
    const possibleTags = new Map([...this.unsureTags].filter(([, target]) => target === digest));
    for (const tag of [...tags.keys(), ...possibleTags.keys()]) this.dropTag(tag);
    this.settle();
    return { tags, possibleTags };
  }

  /** An acknowledged restore of a tag or manifest. Its tags come back unless their names are taken. */
  restored({ kind, reference, tags, possibleTags = new Map() }: KnownDeletion): void {
    if (kind === 'manifest' && reference !== undefined) {
      this.revive(reference);
      this.mayReturn(reference);
    }
    for (const [tag, digest] of tags) {
      if (this.tags.has(tag)) continue;
      if (this.unsureTags.has(tag)) continue;
      if (this.live.has(digest)) this.tagged(tag, digest);
      else this.unsureTags.set(tag, digest);
    }
    for (const [tag, digest] of possibleTags) if (!this.tags.has(tag)) this.unsureTags.set(tag, digest);
    this.settle();
  }

  /** From now on, manifests that nothing holds may go. */
  collectUntagged(isOn: boolean): void {
    this.collectsUntagged = isOn;
    this.settle();
  }

  /** What a pause has shown: every unsure manifest and tag exists, or doesn't. */
  resolve(found: ReadonlySet<string>, foundTags: ReadonlySet<string>): void {
    for (const digest of this.unsure) if (found.has(digest)) this.live.add(digest);
    for (const [tag, digest] of this.unsureTags) {
      (foundTags.has(tag) ? this.tags : this.formerTags).set(tag, digest);
    }
    this.unsure.clear();
    this.unsureTags.clear();
    this.roots.clear();
  }

  /** The manifests that go with these when they are deleted: nothing else holds them. */
  followersOf(gone: Iterable<string>): Set<string> {
    const lost = new Set(gone);
    const found = new Set<string>();
    for (let before = -1; before !== found.size;) {
      before = found.size;
      for (const digest of this.live) {
        if (found.has(digest) || lost.has(digest)) continue;
        if (this.isRelated(digest, lost) && !this.isHeld(digest, lost)) {
          found.add(digest);
          lost.add(digest);
        }
      }
    }
    return found;
  }

  /** An independent copy: what a deleted repository had. */
  copy(): RepositoryState {
    const copy = new RepositoryState();
    for (const [digest, image] of this.images) copy.images.set(digest, image);
    for (const [tag, digest] of this.tags) copy.tags.set(tag, digest);
    for (const [tag, digest] of this.unsureTags) copy.unsureTags.set(tag, digest);
    for (const name of ['live', 'unsure', 'roots'] as const) {
      for (const digest of this[name]) copy[name].add(digest);
    }
    return copy;
  }

  /** The repository was deleted: nothing is visible. */
  clear(): void {
    for (const part of [this.tags, this.unsureTags, this.live, this.unsure, this.roots]) part.clear();
  }

  /** The repository has what another state says. */
  become(other: RepositoryState): void {
    this.clear();
    for (const [digest, image] of other.images) this.images.set(digest, image);
    for (const [tag, digest] of other.tags) this.tags.set(tag, digest);
    for (const [tag, digest] of other.unsureTags) this.unsureTags.set(tag, digest);
    for (const name of ['live', 'unsure', 'roots'] as const) {
      for (const digest of other[name]) this[name].add(digest);
    }
    this.settle();
  }

  private dropTag(tag: string): void {
    const digest = this.tags.get(tag) ?? this.unsureTags.get(tag);
    if (digest !== undefined) this.formerTags.set(tag, digest);
    this.tags.delete(tag);
    this.unsureTags.delete(tag);
  }

  private tagged(tag: string, digest: string): void {
    this.unsureTags.delete(tag);
    this.tags.set(tag, digest);
  }

  private revive(digest: string): void {
    this.live.add(digest);
    this.unsure.delete(digest);
    for (const child of this.images.get(digest)?.children ?? []) this.revive(child);
  }

  /** What the collector may have deleted with a manifest may be restored with it. */
  private mayReturn(root: string): void {
    const returning = new Set([root]);
    for (let before = 0; before !== returning.size;) {
      before = returning.size;
      for (const [tag, digest] of this.formerTags) {
        if (!this.isTagOf(tag, returning)) continue;
        returning.add(digest);
        if (!this.tags.has(tag)) this.unsureTags.set(tag, digest);
      }
      for (const digest of this.images.keys()) if (this.isRelated(digest, returning)) returning.add(digest);
    }
    for (const digest of returning) if (!this.live.has(digest)) this.unsure.add(digest);
  }

  /** Marks what the collector may have deleted by now, or may delete soon. */
  private settle(): void {
    const seeds = [...this.roots, ...this.unsure].filter((digest) => !this.live.has(digest));
    const going = this.followersOf(seeds);
    if (this.collectsUntagged) {
      for (const digest of this.live) if (!this.isHeld(digest, going)) going.add(digest);
      for (const digest of this.followersOf(going)) going.add(digest);
    }
    for (const digest of going) {
      this.live.delete(digest);
      this.unsure.add(digest);
    }
    const lost = new Set([...seeds, ...going]);
    for (const [tag, digest] of this.tags) {
      if (!this.isTagOf(tag, lost)) continue;
      this.tags.delete(tag);
      this.unsureTags.set(tag, digest);
    }
  }

  /** A child or a referrer of one of them, or what a tag points at that stands for one. */
  private isRelated(digest: string, lost: ReadonlySet<string>): boolean {
    const subject = this.images.get(digest)?.subject;
    if (subject !== undefined && lost.has(subject)) return true;
    const tags = [...this.tags, ...this.unsureTags];
    if (tags.some(([tag, target]) => target === digest && this.isTagOf(tag, lost))) return true;
    return [...lost].some((parent) => this.images.get(parent)?.children.includes(digest));
  }

  /** By a tag, a live index, or a live subject. */
  private isHeld(digest: string, lost: ReadonlySet<string>): boolean {
    if (this.tagsOf(digest).some((tag) => !this.isTagOf(tag, lost))) return true;
    const subject = this.images.get(digest)?.subject;
    if (subject !== undefined && this.live.has(subject) && !lost.has(subject)) return true;
    return this.liveImages().some((parent) => !lost.has(parent.digest) && parent.children.includes(digest));
  }

  private isTagOf(tag: string, lost: ReadonlySet<string>): boolean {
    const [, hex] = TAG_OF_SUBJECT.exec(tag) ?? [];
    return hex !== undefined && lost.has(`sha256:${hex}`);
  }

  private imagesOf(digests: ReadonlySet<string>): ImageManifest[] {
    return [...digests].flatMap((digest) => this.images.get(digest) ?? []);
  }
}
