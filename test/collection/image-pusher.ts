import type { ImageManifest, SmallBlob } from '../chaos/image-content.js';
import type { BlobContents } from './blob-contents.js';
import type { ModelRepository, ModelTools } from './model-repository.js';
import type { Reply } from './replica-requests.js';

/** Collections without any grace may take what was just pushed, again and again. */
const MAX_ATTEMPTS = 60;
const OCTETS = { 'Content-Type': 'application/octet-stream' };

/** How a blob is known to be there: since when, and for how long the registry keeps it. */
interface Evidence {
  readonly how: string;
  readonly since: number;
  readonly forMs: number;
}

/** Pushes images as clients do: looks for each blob first, mounts it, or uploads it. */
export class ImagePusher {
  constructor(
    private readonly tools: ModelTools,
    private readonly contents: BlobContents,
    /** Repositories that blobs are mounted from. */
    private readonly sources: readonly string[],
  ) {}

  /** Pushes what the image needs, then the image, again and again until it is acknowledged. */
  async push(repository: ModelRepository, image: ImageManifest, tags: readonly string[]): Promise<void> {
    const { random } = this.tools;
    const known = new Map<string, Evidence>();
    for (const digest of image.blobs) known.set(digest, await this.provide(repository, digest));
    for (let attempt = 1; ; attempt += 1) {
      const reply = await this.putManifest(repository, image, tags, random.chance(0.3));
      if (reply.status === 201) return repository.pushed(image, tags);
      const missing = missingDigests(reply);
      if (missing.length === 0 || attempt === MAX_ATTEMPTS) {
        return this.unexpected(repository, `a push of ${image.digest}`, reply);
      }
      for (const digest of missing) {
        this.checkEvidence(repository, digest, known.get(digest), reply);
        if (image.blobs.includes(digest)) known.set(digest, await this.upload(repository, digest));
        else await this.pushChild(repository, image, digest);
      }
    }
  }

  /** Sends the manifest without looking for its references. */
  putManifest(
    { name }: ModelRepository,
    image: ImageManifest,
    tags: readonly string[],
    byDigest: boolean,
  ): Promise<Reply> {
    const [reference = image.digest, ...others] = byDigest ? [image.digest, ...tags] : tags;
    const query = others.length === 0 ? '' : `?${others.map((tag) => `tag=${tag}`).join('&')}`;
    return this.tools.requests.send('PUT', `/v2/${name}/manifests/${reference}${query}`, {
      headers: { 'Content-Type': image.mediaType },
      body: image.bytes,
    });
  }

  /** Links a blob to the repository in one of the ways of clients. */
  async provide(repository: ModelRepository, digest: string): Promise<Evidence> {
    const { random, results } = this.tools;
    const way = random.next();
    if (way < 0.5) {
      const found = await this.look(repository, digest);
      if (found) {
        results.countOperation('upload skipped after HEAD');
        return found;
      }
    } else if (way < 0.7) {
      const mounted = await this.mount(repository, digest);
      if (mounted) return mounted;
    }
    return this.upload(repository, digest);
  }

  /** A 200 holds for half the grace. */
  async look({ name }: ModelRepository, digest: string): Promise<Evidence | undefined> {
    const { requests } = this.tools;
    const reply = await requests.send('HEAD', `/v2/${name}/blobs/${digest}`);
    if (reply.status !== 200) return undefined;
    return { how: 'HEAD', since: reply.sentAt, forMs: this.graceMs / 2 };
  }

  async upload(repository: ModelRepository, digest: string): Promise<Evidence> {
    const { requests, random, results } = this.tools;
    const blob: SmallBlob = this.contents.get(digest);
    const path = `/v2/${repository.name}/blobs/uploads/`;
    for (;;) {
      let reply: Reply;
      if (random.chance(0.7)) {
        reply = await requests.send('POST', `${path}?digest=${digest}`, {
          headers: OCTETS,
          body: blob.bytes,
        });
      } else {
        const { headers } = await requests.send('POST', path);
        const location = headers.location ?? path;
        const query = `${location.includes('?') ? '&' : '?'}digest=${digest}`;
        reply = await requests.send('PUT', location + query, { headers: OCTETS, body: blob.bytes });
      }
      results.countOperation('blob pushed');
      if (reply.status === 201) return { how: 'push', since: reply.sentAt, forMs: this.graceMs };
      // The session of an upload that was repeated may have ended.
      if (reply.wasRepeated) continue;
      this.unexpected(repository, `a push of ${digest}`, reply);
      throw new Error(`${digest} could not be pushed`);
    }
  }

  async mount({ name }: ModelRepository, digest: string): Promise<Evidence | undefined> {
    const { requests, random, results } = this.tools;
    const from = random.chance(0.7) ? `&from=${random.pick(this.sources)}` : '';
    const reply = await requests.send('POST', `/v2/${name}/blobs/uploads/?mount=${digest}${from}`);
    if (reply.status === 201) {
      results.countOperation('blob mounted');
      return { how: 'mount', since: reply.sentAt, forMs: this.graceMs };
    }
    if (reply.status === 202) await requests.send('DELETE', reply.headers.location ?? '');
    return undefined;
  }

  private get graceMs(): number {
    return this.tools.windows().grace * 1000;
  }

  unexpected({ name }: ModelRepository, what: string, { status, body }: Reply): void {
    this.tools.requests.wrong(`${name}: ${what} returned ${status}: ${body.toString('utf8').slice(0, 300)}`);
  }

  /** A follower was purged meanwhile. */
  private async pushChild(repository: ModelRepository, parent: ImageManifest, digest: string): Promise<void> {
    const { state } = repository;
    const child = state.images.get(digest);
    if (child === undefined) throw new Error(`${parent.digest} lists an unknown child ${digest}`);
    if (state.isLive(digest)) {
      this.tools.results.lost(
        `${repository.name} ${digest}, a child of ${parent.digest}`,
        this.tools.requests,
      );
    }
    await this.push(repository, child, []);
  }

  private checkEvidence(
    { name }: ModelRepository,
    digest: string,
    known: Evidence | undefined,
    reply: Reply,
  ) {
    if (known === undefined || reply.receivedAt - known.since >= known.forMs) return;
    const { results, requests } = this.tools;
    results.countOperation('unknown within its window');
    const ms = Math.round(reply.receivedAt - known.since);
    results.wrong(`${name}: ${digest} was unknown ${ms} ms after a ${known.how} that found it`, requests);
  }
}

/** The digests that a refused manifest lacks. */
function missingDigests({ status, body }: Reply): string[] {
  if (status !== 404) return [];
  const text = body.toString('utf8');
  const { errors } = JSON.parse(text) as { errors: { code: string; detail?: { digest?: string } }[] };
  return errors.flatMap(({ code, detail }) =>
    code === 'MANIFEST_BLOB_UNKNOWN' && detail?.digest !== undefined ? [detail.digest] : [],
  );
}
