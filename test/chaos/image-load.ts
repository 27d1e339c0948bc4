import type { Cluster } from './cluster.js';
import type { Conditions } from './conditions.js';
import type { Deadline } from './deadline.js';
import { ImageClient, IMAGE_OPERATIONS } from './image-client.js';
import { imageManifest, smallBlob } from './image-content.js';
import { ImageWriter } from './image-writer.js';
import type { Ledger } from './ledger.js';
import { watchMachine } from './machine-watch.js';
import { OBSERVED_REPOSITORY, OBSERVED_TAG, Observer } from './observer.js';
import type { OwnRepository } from './own-repository.js';
import { RepositoryModel } from './repository-model.js';
import { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';
import type { ChaosSettings } from './settings.js';
import { CONTEST_OPERATIONS, CONTESTED_REPOSITORY, TagContest } from './tag-contest.js';

const COMMON_REPOSITORY = 'images/common';
const COMMON_BLOBS = 60;
const COMMON_BLOB_BYTES = 5_000;

export const LOAD_OPERATIONS: readonly string[] = [...IMAGE_OPERATIONS, ...CONTEST_OPERATIONS];

/** Everything that works with whole images beside the uploads, and whoever only watches. */
export class ImageLoad {
  private readonly config = smallBlob('config', 500);
  private readonly observed = imageManifest('observed', this.config, [this.config]);
  private readonly commonBlobs = Array.from({ length: COMMON_BLOBS }, (_, index) => {
    return smallBlob(`common/${index}`, COMMON_BLOB_BYTES + index);
  });
  private readonly clients: readonly ImageClient[];
  private readonly contest: TagContest;
  private readonly observer: Observer;

  constructor(
    private readonly settings: ChaosSettings,
    private readonly url: string,
    private readonly cluster: Cluster,
    private readonly conditions: Conditions,
    private readonly ledger: Ledger,
    private readonly deadline: Deadline,
    private readonly random: SeededRandom,
  ) {
    this.contest = new TagContest(this.config, ledger);
    this.observer = new Observer(cluster.replicas, this.observed, conditions, ledger);
    this.clients = Array.from({ length: settings.imageClients }, (_, index) => {
      return new ImageClient(this.repository(`images/own-${index}`), COMMON_REPOSITORY, this.commonBlobs);
    });
  }

  /** Pushes what all of them need, before anything goes wrong. */
  async prepare(): Promise<void> {
    const common = this.writer(COMMON_REPOSITORY);
    for (const blob of this.commonBlobs) await common.pushBlob(blob);
    const observed = this.writer(OBSERVED_REPOSITORY);
    await observed.pushBlob(this.config);
    await observed.pushManifest(this.observed, [OBSERVED_TAG], false);
    await this.writer(CONTESTED_REPOSITORY).pushBlob(this.config);
  }

  /** Goes on until `isOver`. A client that fails is a problem, and the others go on. */
  async run(isOver: () => boolean): Promise<void> {
    const contestants = Array.from({ length: this.settings.contestants }, (_, index) => {
      const label = `contestant ${index}`;
      return this.contest.run(this.requests(label), this.random.fork(label), isOver);
    });
    const all = [...this.clients.map((client) => client.run(isOver)), ...contestants];
    for (const outcome of await Promise.allSettled(all)) {
      if (outcome.status === 'rejected') this.ledger.failed(outcome.reason);
    }
  }

  /** Watches until `isOver`. */
  async watch(isOver: () => boolean): Promise<void> {
    await Promise.all([
      this.observer.run(isOver),
      watchMachine(this.cluster.postgres, this.conditions, isOver),
    ]);
  }

  /** Compares all that was acknowledged with what there is, everything being well again. */
  async check(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.checks.everything()));
    await this.contest.check(this.requests('contest'), this.deadline);
  }

  /** What was watched, when it is known what was out of order and when. */
  judge(): void {
    this.observer.judge();
    for (const kind of this.ledger.missingOperations(LOAD_OPERATIONS)) {
      this.ledger.problem(`did not come about: ${kind}`);
    }
  }

  private writer(repository: string): ImageWriter {
    return new ImageWriter(this.repository(repository));
  }

  private repository(name: string): OwnRepository {
    return {
      name,
      model: new RepositoryModel(),
      requests: this.requests(name),
      ledger: this.ledger,
      random: this.random.fork(name),
    };
  }

  private requests(label: string): RetryingRequests {
    return new RetryingRequests(label, this.url, this.ledger, this.deadline);
  }
}
