import { type ImageManifest, sha256 } from './image-content.js';
import type { OwnRepository } from './own-repository.js';

/** Compares what a repository serves with the model of it. */
export class ImageChecks {
  constructor(private readonly own: OwnRepository) {}

  /** Checks everything acknowledged, and everything deleted. */
  async everything(): Promise<void> {
    const { model } = this.own;
    for (const manifest of model.liveManifests()) await this.manifest(manifest.digest, manifest);
    for (const [tag, digest] of model.liveTags()) await this.tag(tag, digest);
    for (const { digest } of model.liveBlobs()) await this.blob(digest);
    for (const tag of model.deletedTags()) await this.isNotFound(`manifests/${tag}`);
    for (const { digest } of model.deletedManifests()) await this.isNotFound(`manifests/${digest}`);
    for (const { digest } of model.deletedBlobs()) await this.isNotFound(`blobs/${digest}`);
    for (const subject of model.subjects()) await this.referrers(subject);
    await this.tagList();
  }

  /** Pulls as a client: the manifest, its blobs and children, each byte. */
  async pull(reference: string, manifest: ImageManifest): Promise<void> {
    await this.manifest(reference, manifest);
    for (const digest of manifest.blobs) await this.blob(digest);
    for (const digest of manifest.children) {
      const child = this.own.model.manifest(digest);
      if (child) await this.pull(digest, child);
    }
  }

  private async tag(tag: string, digest: string): Promise<void> {
    const manifest = this.own.model.manifest(digest);
    if (manifest) await this.manifest(tag, manifest);
  }

  private async manifest(reference: string, expected: ImageManifest): Promise<void> {
    const path = `manifests/${reference}`;
    const { status, headers, body } = await this.send('GET', path);
    const digest = String(headers['docker-content-digest']);
    if (status === 404) this.lost(path);
    else if (status !== 200) this.wrong(`${path} returned ${status}`);
    else if (digest !== expected.digest)
      this.lost(`${path} (returned ${digest} instead of ${expected.digest})`);
    else if (!body.equals(expected.bytes)) this.wrong(`${path} has wrong bytes`);
    else if (headers['content-type'] !== expected.mediaType)
      this.wrong(`${path} has type ${headers['content-type']}`);
  }

  private async blob(digest: string): Promise<void> {
    const path = `blobs/${digest}`;
    const head = await this.send('HEAD', path);
    if (head.status === 404) return this.lost(path);
    if (head.status !== 200) this.wrong(`HEAD ${path} returned ${head.status}`);
    const { status, body } = await this.send('GET', path);
    if (status === 404) this.lost(path);
    else if (status !== 200) this.wrong(`${path} returned ${status}`);
    else if (sha256(body) !== digest) this.wrong(`${path} has wrong bytes: ${sha256(body)}`);
  }

  async isNotFound(path: string): Promise<void> {
    for (const method of ['HEAD', 'GET']) {
      const { status } = await this.send(method, path);
      if (status !== 404) this.wrong(`${method} ${path} returned ${status} after its deletion`);
    }
  }

  async tagList(): Promise<void> {
    const { model } = this.own;
    const { status, body } = await this.send('GET', 'tags/list');
    const expected = model.liveTags().map(([tag]) => tag);
    if (status === 404 && expected.length === 0) return;
    if (status !== 200) return this.wrong(`tags/list returned ${status}`);
    const { tags } = JSON.parse(body.toString('utf8')) as { tags: string[] };
    this.compare('tags/list', tags, expected, model.deletedTags());
  }

  async referrers(subject: string): Promise<void> {
    const { model } = this.own;
    const path = `referrers/${subject}`;
    const { status, body } = await this.send('GET', path);
    if (status !== 200) return this.wrong(`${path} returned ${status}`);
    const { manifests } = JSON.parse(body.toString('utf8')) as { manifests: { digest: string }[] };
    const found = manifests.map(({ digest }) => digest);
    const expected = model.referrersOf(subject).map(({ digest }) => digest);
    const deleted = model.deletedManifests().map(({ digest }) => digest);
    this.compare(path, found, expected, deleted);
  }

  private compare(
    list: string,
    found: readonly string[],
    expected: readonly string[],
    deleted: readonly string[],
  ): void {
    const names = new Set(found);
    for (const name of expected) if (!names.has(name)) this.lost(`${list}: ${name}`);
    for (const name of deleted) if (names.has(name)) this.wrong(`${list} has ${name} after its deletion`);
  }

  private send(method: string, path: string) {
    return this.own.requests.send(method, `/v2/${this.own.name}/${path}`);
  }

  private lost(what: string): void {
    this.own.results.lost(`${this.own.name} ${what}`, this.own.requests);
  }

  private wrong(what: string): void {
    this.own.results.wrong(`${this.own.name}: ${what}`, this.own.requests);
  }
}
