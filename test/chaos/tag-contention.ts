import { setTimeout as delay } from 'node:timers/promises';
import type { Deadline } from './deadline.js';
import { imageManifest, type ImageManifest, type SmallBlob, sha256 } from './image-content.js';
import type { RunResults } from './run-results.js';
import type { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';

export const CONTENDED_REPOSITORY = 'images/contended';
/** Every push sets all of them. */
const TAGS = ['latest', 'stable', 'newest'] as const;
const PAUSE_MS = { least: 10, most: 80 };
const SETTLE_SECONDS = 120;

export const CONTENTION_OPERATIONS = [
  'contended tags set',
  'contended tag read',
  'contended manifest deleted',
];

/** Many clients move the same tags, read them, and delete manifests that they pushed. */
export class TagContention {
  /** Manifests whose push has begun. */
  private readonly begun = new Map<string, ImageManifest>();
  /** Deleted for good. */
  private readonly deleted = new Set<string>();

  constructor(
    private readonly config: SmallBlob,
    private readonly results: RunResults,
  ) {}

  /** One client. */
  async run(requests: RetryingRequests, random: SeededRandom, isOver: () => boolean): Promise<void> {
    for (let count = 1; !isOver(); count += 1) {
      await delay(random.int(PAUSE_MS.least, PAUSE_MS.most));
      const manifest = imageManifest(`${requests.label} ${count}`, this.config, [this.config]);
      const wasRepeated = await this.push(manifest, requests, random);
      if (random.chance(0.5)) await this.read(random.pick(TAGS), requests);
      // A repeated push may be done once more, after the deletion.
      if (!wasRepeated && random.chance(0.2)) await this.delete(manifest, requests);
    }
  }

  /** Every push and every deletion changes all tags in one transaction, so the tags agree. */
  async check(requests: RetryingRequests, deadline: Deadline): Promise<void> {
    let found: (string | undefined)[] = [];
    const agree = async () => {
      found = [];
      for (const tag of TAGS) found.push(await this.read(tag, requests));
      return new Set(found).size === 1;
    };
    await deadline.until('the contended tags to agree', agree, SETTLE_SECONDS).catch((error: unknown) => {
      this.results.wrong(`${String(error)}: ${found.join(', ')}`, requests);
    });
  }

  private async push(
    manifest: ImageManifest,
    requests: RetryingRequests,
    random: SeededRandom,
  ): Promise<boolean> {
    this.begun.set(manifest.digest, manifest);
    const [reference, ...others] = random.shuffled(TAGS);
    const query = others.map((tag) => `tag=${tag}`).join('&');
    const path = `/v2/${CONTENDED_REPOSITORY}/manifests/${reference}?${query}`;
    const headers = { 'Content-Type': manifest.mediaType };
    const { status, body, wasRepeated } = await requests.send('PUT', path, { headers, body: manifest.bytes });
    if (status === 201) this.results.countOperation('contended tags set');
    else this.results.wrong(`PUT ${path} returned ${status}: ${body.toString('utf8')}`, requests);
    return wasRepeated;
  }

  /** The target of a tag, if any, was pushed by a client, is complete, and was not deleted before. */
  private async read(tag: string, requests: RetryingRequests): Promise<string | undefined> {
    const deletedBefore = new Set(this.deleted);
    const path = `/v2/${CONTENDED_REPOSITORY}/manifests/${tag}`;
    const { status, body } = await requests.send('GET', path);
    this.results.countOperation('contended tag read');
    if (status === 404) return undefined;
    const digest = sha256(body);
    if (status !== 200 || !this.begun.has(digest)) {
      this.results.wrong(`${path} returned ${status} ${digest}, which no client pushed`, requests);
    } else if (deletedBefore.has(digest)) {
      this.results.wrong(`${path} points at ${digest} after its deletion`, requests);
    }
    return digest;
  }

  private async delete({ digest }: ImageManifest, requests: RetryingRequests): Promise<void> {
    const path = `/v2/${CONTENDED_REPOSITORY}/manifests/${digest}`;
    const { status, body, wasRepeated } = await requests.send('DELETE', path);
    if (status === 404 && !wasRepeated) this.results.lost(`${CONTENDED_REPOSITORY} ${digest}`, requests);
    else if (status !== 202 && status !== 404)
      this.results.wrong(`DELETE ${path} returned ${status}: ${body.toString('utf8')}`, requests);
    this.deleted.add(digest);
    this.results.countOperation('contended manifest deleted');
  }
}
