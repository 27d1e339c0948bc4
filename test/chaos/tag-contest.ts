import { setTimeout as delay } from 'node:timers/promises';
import type { Deadline } from './deadline.js';
import { imageManifest, type ImageManifest, type SmallBlob, sha256 } from './image-content.js';
import type { Ledger } from './ledger.js';
import type { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';

export const CONTESTED_REPOSITORY = 'images/contested';
/** Every push sets all of them. */
const TAGS = ['latest', 'stable', 'newest'] as const;
const PAUSE_MS = { least: 10, most: 80 };
const SETTLE_SECONDS = 120;

export const CONTEST_OPERATIONS = ['contested tags set', 'contested tag read', 'contested manifest deleted'];

/** Many clients move the same tags, read them, and delete what they have pushed. */
export class TagContest {
  /** Manifests whose push has begun. */
  private readonly begun = new Map<string, ImageManifest>();
  /** Deleted, and not to come back. */
  private readonly deleted = new Set<string>();

  constructor(
    private readonly config: SmallBlob,
    private readonly ledger: Ledger,
  ) {}

  /** One client. */
  async run(requests: RetryingRequests, random: SeededRandom, isOver: () => boolean): Promise<void> {
    for (let count = 1; !isOver(); count += 1) {
      await delay(random.int(PAUSE_MS.least, PAUSE_MS.most));
      const manifest = imageManifest(`${requests.label} ${count}`, this.config, [this.config]);
      const wasRepeated = await this.push(manifest, requests, random);
      if (random.chance(0.5)) await this.read(random.pick(TAGS), requests);
      // What was repeated may come once more, after its delete.
      if (!wasRepeated && random.chance(0.2)) await this.delete(manifest, requests);
    }
  }

  /** Every push set all tags in one transaction, and so did every delete: they agree. */
  async check(requests: RetryingRequests, deadline: Deadline): Promise<void> {
    let found: (string | undefined)[] = [];
    const agree = async () => {
      found = [];
      for (const tag of TAGS) found.push(await this.read(tag, requests));
      return new Set(found).size === 1;
    };
    await deadline.until('the contested tags to agree', agree, SETTLE_SECONDS).catch((error: unknown) => {
      this.ledger.wrong(`${String(error)}: ${found.join(', ')}`, requests);
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
    const path = `/v2/${CONTESTED_REPOSITORY}/manifests/${reference}?${query}`;
    const headers = { 'Content-Type': manifest.mediaType };
    const { status, body, wasRepeated } = await requests.ask('PUT', path, { headers, body: manifest.bytes });
    if (status === 201) this.ledger.did('contested tags set');
    else this.ledger.wrong(`PUT ${path} was answered with ${status}: ${body.toString('utf8')}`, requests);
    return wasRepeated;
  }

  /** What the tag points at, if anything, was pushed by somebody, is whole, and was not deleted before. */
  private async read(tag: string, requests: RetryingRequests): Promise<string | undefined> {
    const deletedBefore = new Set(this.deleted);
    const path = `/v2/${CONTESTED_REPOSITORY}/manifests/${tag}`;
    const { status, body } = await requests.ask('GET', path);
    this.ledger.did('contested tag read');
    if (status === 404) return undefined;
    const digest = sha256(body);
    if (status !== 200 || !this.begun.has(digest)) {
      this.ledger.wrong(`${path} was answered with ${status} ${digest}, which nobody pushed`, requests);
    } else if (deletedBefore.has(digest)) {
      this.ledger.wrong(`${path} points at ${digest} after its delete`, requests);
    }
    return digest;
  }

  private async delete({ digest }: ImageManifest, requests: RetryingRequests): Promise<void> {
    const path = `/v2/${CONTESTED_REPOSITORY}/manifests/${digest}`;
    const { status, body, wasRepeated } = await requests.ask('DELETE', path);
    if (status === 404 && !wasRepeated) this.ledger.lost(`${CONTESTED_REPOSITORY} ${digest}`, requests);
    else if (status !== 202 && status !== 404)
      this.ledger.wrong(`DELETE ${path} was answered with ${status}: ${body.toString('utf8')}`, requests);
    this.deleted.add(digest);
    this.ledger.did('contested manifest deleted');
  }
}
