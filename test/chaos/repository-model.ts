import type { ImageManifest, SmallBlob } from './image-content.js';

interface Known<T> {
  readonly content: T;
  isLive: boolean;
}

/**
 * The expected state of a repository that only one client changes, one request after the other.
 *
 * A request without a response may still be done at any later time: it may wait in a frozen replica. Its
 * client repeats it until it gets a response, and then retires the names in it: it never changes them again.
 * So a late request changes nothing, and the expected state of each name is known exactly at any time.
 */
export class RepositoryModel {
  private readonly manifests = new Map<string, Known<ImageManifest>>();
  private readonly blobs = new Map<string, Known<SmallBlob>>();
  /** Undefined: deleted. */
  private readonly tags = new Map<string, string | undefined>();
  private readonly retired = new Set<string>();

  /** Whether a tag or a digest may still be changed. */
  mayChange(name: string): boolean {
    return !this.retired.has(name);
  }

  retire(...names: readonly string[]): void {
    for (const name of names) this.retired.add(name);
  }

  putManifest(manifest: ImageManifest, tags: readonly string[], wasRepeated: boolean): void {
    this.manifests.set(manifest.digest, { content: manifest, isLive: true });
    for (const tag of tags) this.tags.set(tag, manifest.digest);
    if (wasRepeated) this.retire(manifest.digest, ...tags);
  }

  deleteTag(tag: string, wasRepeated: boolean): void {
    this.tags.set(tag, undefined);
    if (wasRepeated) this.retire(tag);
  }

  /** Its tags may be used again: a late request finds no manifest and changes nothing. */
  deleteManifest({ digest }: ImageManifest, wasRepeated: boolean): void {
    for (const tag of this.tagsOf(digest)) this.tags.set(tag, undefined);
    const known = this.manifests.get(digest);
    if (known) known.isLive = false;
    if (wasRepeated) this.retire(digest);
  }

  putBlob(blob: SmallBlob, wasRepeated: boolean): void {
    this.blobs.set(blob.digest, { content: blob, isLive: true });
    if (wasRepeated) this.retire(blob.digest);
  }

  deleteBlob({ digest }: SmallBlob, wasRepeated: boolean): void {
    const known = this.blobs.get(digest);
    if (known) known.isLive = false;
    if (wasRepeated) this.retire(digest);
  }

  /** Expects nothing more of a blob and of the manifests that need it. */
  forgetBlob({ digest }: SmallBlob): void {
    const lost = this.manifestsWith(digest).map((manifest) => manifest.digest);
    for (const parent of this.liveManifests()) {
      if (parent.children.some((child) => lost.includes(child))) lost.push(parent.digest);
    }
    for (const [tag, target] of this.tags) {
      if (target !== undefined && lost.includes(target)) this.tags.delete(tag);
    }
    for (const manifest of lost) this.manifests.delete(manifest);
    this.blobs.delete(digest);
    this.retire(digest, ...lost);
  }

  /** Tags and their targets. */
  liveTags(): [tag: string, digest: string][] {
    return [...this.tags].flatMap(([tag, digest]) => (digest === undefined ? [] : [[tag, digest]]));
  }

  deletedTags(): string[] {
    return [...this.tags].filter(([, digest]) => digest === undefined).map(([tag]) => tag);
  }

  tagsOf(digest: string): string[] {
    return this.liveTags()
      .filter(([, target]) => target === digest)
      .map(([tag]) => tag);
  }

  manifest(digest: string): ImageManifest | undefined {
    return this.manifests.get(digest)?.content;
  }

  liveManifests(): ImageManifest[] {
    return contents(this.manifests, true);
  }

  deletedManifests(): ImageManifest[] {
    return contents(this.manifests, false);
  }

  /** Live manifests that list a blob. */
  manifestsWith(blob: string): ImageManifest[] {
    return this.liveManifests().filter(({ blobs }) => blobs.includes(blob));
  }

  /** Whether a live index lists a manifest. */
  isChild({ digest }: ImageManifest): boolean {
    return this.liveManifests().some(({ children }) => children.includes(digest));
  }

  referrersOf(subject: string): ImageManifest[] {
    return this.liveManifests().filter((manifest) => manifest.subject === subject);
  }

  /** The subjects of all live and deleted manifests. */
  subjects(): string[] {
    const all = [...this.manifests.values()].map(({ content }) => content.subject);
    return [...new Set(all.filter((subject) => subject !== undefined))];
  }

  hasBlob(digest: string): boolean {
    return this.blobs.get(digest)?.isLive === true;
  }

  liveBlobs(): SmallBlob[] {
    return contents(this.blobs, true);
  }

  deletedBlobs(): SmallBlob[] {
    return contents(this.blobs, false);
  }
}

function contents<T>(all: ReadonlyMap<string, Known<T>>, isLive: boolean): T[] {
  return [...all.values()].filter((known) => known.isLive === isLive).map(({ content }) => content);
}
