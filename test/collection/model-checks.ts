import type { ImageManifest } from '../chaos/image-content.js';
import type { BlobContents } from './blob-contents.js';
import type { ModelRepository, ModelTools } from './model-repository.js';

/** Compares what a repository serves with the model of it. */
export class ModelChecks {
  constructor(
    private readonly tools: ModelTools,
    private readonly contents: BlobContents,
  ) {}

  /** Pulls a live manifest as a client: the manifest, its blobs and its children, each byte. */
  async pull(
    on: ModelRepository,
    reference: string,
    image: ImageManifest | undefined = on.state.images.get(reference),
  ): Promise<void> {
    if (image === undefined) throw new Error(`${reference} is not in the model of ${on.name}`);
    await this.bytes(on, `manifests/${reference}`, image.bytes);
    for (const digest of image.blobs)
      await this.bytes(on, `blobs/${digest}`, this.contents.get(digest).bytes);
    for (const child of image.children) await this.pull(on, child);
  }

  /** Pulls every live manifest and tag; what is gone is not there. */
  async everything(on: ModelRepository): Promise<void> {
    const { state } = on;
    for (const image of state.liveImages()) await this.pull(on, image.digest, { ...image, children: [] });
    for (const [tag, digest] of state.tags) {
      const image = state.images.get(digest);
      if (image) await this.bytes(on, `manifests/${tag}`, image.bytes);
    }
    await this.lists(on);
    for (const { digest } of state.liveImages()) await this.referrers(on, digest);
  }

  /** Live manifests exist, others don't, and the list of tags is right. */
  async lists(on: ModelRepository): Promise<void> {
    const { requests, results } = this.tools;
    for (const { digest } of on.state.liveImages()) {
      if (!(await this.exists(on, `manifests/${digest}`))) results.lost(`${on.name} ${digest}`, requests);
    }
    for (const { digest } of on.state.goneImages()) await this.isNotFound(on, `manifests/${digest}`);
    await this.tagList(on);
  }

  async isNotFound(on: ModelRepository, path: string): Promise<void> {
    if (await this.exists(on, path)) this.tools.requests.wrong(`${on.name} has ${path} after its deletion`);
  }

  async exists(on: ModelRepository, path: string): Promise<boolean> {
    const { status } = await this.tools.requests.send('HEAD', `/v2/${on.name}/${path}`);
    if (status !== 200 && status !== 404) {
      this.tools.requests.wrong(`HEAD ${on.name} ${path} returned ${status}`);
    }
    return status === 200;
  }

  /** Finds out which of the unsure manifests and tags exist. */
  async resolve(on: ModelRepository): Promise<void> {
    const { state } = on;
    const [found, foundTags] = [new Set<string>(), new Set<string>()];
    for (const { digest } of state.unsureImages()) {
      if (await this.exists(on, `manifests/${digest}`)) found.add(digest);
    }
    for (const tag of state.unsureTags.keys()) {
      if (await this.exists(on, `manifests/${tag}`)) foundTags.add(tag);
    }
    state.resolve(found, foundTags);
  }

  private async bytes(on: ModelRepository, path: string, expected: Buffer): Promise<void> {
    const { requests, results } = this.tools;
    const { status, body } = await requests.send('GET', `/v2/${on.name}/${path}`);
    results.countOperation('content compared');
    if (status === 200 && body.equals(expected)) return;
    results.bytesLost += expected.length;
    const why = status === 200 ? 'has wrong bytes' : `returned ${status}`;
    results.lost(`${on.name} ${path} (${why})`, requests);
  }

  private async tagList(on: ModelRepository): Promise<void> {
    const { requests, results } = this.tools;
    const { status, body } = await requests.send('GET', `/v2/${on.name}/tags/list`);
    const listed = status === 404 ? [] : (JSON.parse(body.toString('utf8')) as { tags: string[] }).tags;
    const isOwn = (tag: string) => on.isPrivate || tag.startsWith(on.prefix);
    const found = new Set(listed.filter(isOwn));
    for (const tag of on.state.tags.keys()) {
      if (isOwn(tag) && !found.has(tag)) results.lost(`${on.name} tag ${tag} in the list`, requests);
    }
    for (const tag of found) {
      if (!on.state.tags.has(tag) && !on.state.unsureTags.has(tag)) {
        requests.wrong(`${on.name} lists the tag ${tag}, which was deleted`);
      }
    }
  }

  private async referrers(on: ModelRepository, subject: string): Promise<void> {
    const { requests, results } = this.tools;
    const { status, body } = await requests.send('GET', `/v2/${on.name}/referrers/${subject}`);
    if (status !== 200) return requests.wrong(`${on.name} referrers of ${subject} returned ${status}`);
    const { manifests } = JSON.parse(body.toString('utf8')) as { manifests: { digest: string }[] };
    const found = new Set(manifests.map(({ digest }) => digest));
    const { state } = on;
    for (const image of state.liveImages()) {
      if (image.subject === subject && !found.has(image.digest)) {
        results.lost(`${on.name} referrer ${image.digest} of ${subject}`, requests);
      }
    }
    for (const digest of found) {
      if (state.isLive(digest) || state.isUnsure(digest)) continue;
      requests.wrong(`${on.name} lists the referrer ${digest}, which was deleted`);
    }
  }
}
