import { type ImageManifest, sha256 } from './image-content.js';
import type { OwnRepository } from './own-repository.js';

/** Compares what a repository serves with the model of it. */
export class ImageChecks {
  constructor(private readonly own: OwnRepository) {}

  /** Everything that a client was promised, and everything that was deleted. */
  async everything(): Promise<void> {
    const { model } = this.own;
    for (const manifest of model.liveManifests()) await this.manifest(manifest.digest, manifest);
    for (const [tag, digest] of model.liveTags()) await this.tag(tag, digest);
    for (const { digest } of model.liveBlobs()) await this.blob(digest);
    for (const tag of model.deletedTags()) await this.isGone(`manifests/${tag}`);
    for (const { digest } of model.deletedManifests()) await this.isGone(`manifests/${digest}`);
    for (const { digest } of model.deletedBlobs()) await this.isGone(`blobs/${digest}`);
    for (const subject of model.subjects()) await this.referrers(subject);
    await this.tagList();
  }

  /** As a client pulls: the manifest, what it lists, each byte. */
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
    const { status, headers, body } = await this.ask('GET', path);
    const digest = String(headers['docker-content-digest']);
    if (status === 404) this.lost(path);
    else if (status !== 200) this.wrong(`${path} was answered with ${status}`);
    else if (digest !== expected.digest) this.lost(`${path} (it is ${digest}, not ${expected.digest})`);
    else if (!body.equals(expected.bytes)) this.wrong(`${path} has other bytes`);
    else if (headers['content-type'] !== expected.mediaType)
      this.wrong(`${path} is ${headers['content-type']}`);
  }

  private async blob(digest: string): Promise<void> {
    const path = `blobs/${digest}`;
    const head = await this.ask('HEAD', path);
    if (head.status === 404) return this.lost(path);
    if (head.status !== 200) this.wrong(`HEAD ${path} was answered with ${head.status}`);
    const { status, body } = await this.ask('GET', path);
    if (status === 404) this.lost(path);
    else if (status !== 200) this.wrong(`${path} was answered with ${status}`);
    else if (sha256(body) !== digest) this.wrong(`${path} has other bytes: ${sha256(body)}`);
  }

  async isGone(path: string): Promise<void> {
    for (const method of ['HEAD', 'GET']) {
      const { status } = await this.ask(method, path);
      if (status !== 404) this.wrong(`${method} ${path} was answered with ${status} after its delete`);
    }
  }

  async tagList(): Promise<void> {
    const { model } = this.own;
    const { status, body } = await this.ask('GET', 'tags/list');
    const expected = model.liveTags().map(([tag]) => tag);
    if (status === 404 && expected.length === 0) return;
    if (status !== 200) return this.wrong(`tags/list was answered with ${status}`);
    const { tags } = JSON.parse(body.toString('utf8')) as { tags: string[] };
    this.compare('tags/list', tags, expected, model.deletedTags());
  }

  async referrers(subject: string): Promise<void> {
    const { model } = this.own;
    const path = `referrers/${subject}`;
    const { status, body } = await this.ask('GET', path);
    if (status !== 200) return this.wrong(`${path} was answered with ${status}`);
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
    for (const name of deleted) if (names.has(name)) this.wrong(`${list} has ${name} after its delete`);
  }

  private ask(method: string, path: string) {
    return this.own.requests.ask(method, `/v2/${this.own.name}/${path}`);
  }

  private lost(what: string): void {
    this.own.ledger.lost(`${this.own.name} ${what}`, this.own.requests);
  }

  private wrong(what: string): void {
    this.own.ledger.wrong(`${this.own.name}: ${what}`, this.own.requests);
  }
}
