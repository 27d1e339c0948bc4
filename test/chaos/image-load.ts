import type { ChaosAccess } from './chaos-access.js';
import type { Cluster } from './cluster.js';
import type { FaultTimeline } from './fault-timeline.js';
import type { Deadline } from './deadline.js';
import { ImageClient, IMAGE_OPERATIONS } from './image-client.js';
import { imageManifest, smallBlob } from './image-content.js';
import { ImageWriter } from './image-writer.js';
import type { RunResults } from './run-results.js';
import { watchMachine } from './machine-watch.js';
import { OBSERVED_REPOSITORY, OBSERVED_TAG, Observer } from './observer.js';
import type { OwnRepository } from './own-repository.js';
import { RepositoryModel } from './repository-model.js';
import { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';
import type { ChaosSettings } from './settings.js';
import { CONTENTION_OPERATIONS, CONTENDED_REPOSITORY, TagContention } from './tag-contention.js';

const COMMON_REPOSITORY = 'images/common';
const COMMON_BLOBS = 60;
const COMMON_BLOB_BYTES = 5_000;

export const LOAD_OPERATIONS: readonly string[] = [...IMAGE_OPERATIONS, ...CONTENTION_OPERATIONS];

/** The clients that push and pull images, beside the uploads, and the observer. */
export class ImageLoad {
  private readonly config = smallBlob('config', 500);
  private readonly observed = imageManifest('observed', this.config, [this.config]);
  private readonly commonBlobs = Array.from({ length: COMMON_BLOBS }, (_, index) => {
    return smallBlob(`common/${index}`, COMMON_BLOB_BYTES + index);
  });
  private readonly clients: readonly ImageClient[];
  private readonly contention: TagContention;
  private readonly observer: Observer;

  constructor(
    private readonly settings: ChaosSettings,
    private readonly url: string,
    private readonly cluster: Cluster,
    private readonly timeline: FaultTimeline,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
    private readonly random: SeededRandom,
    private readonly access: ChaosAccess,
  ) {
    this.contention = new TagContention(this.config, results);
    this.observer = new Observer(cluster.replicas, this.observed, timeline, results, access, url);
    this.clients = Array.from({ length: settings.imageClients }, (_, index) => {
      return new ImageClient(this.repository(`images/own-${index}`), COMMON_REPOSITORY, this.commonBlobs);
    });
  }

  /** Pushes the shared contents, before the first fault. */
  async prepare(): Promise<void> {
    const common = this.writer(COMMON_REPOSITORY);
    for (const blob of this.commonBlobs) await common.pushBlob(blob);
    const observed = this.writer(OBSERVED_REPOSITORY);
    await observed.pushBlob(this.config);
    await observed.pushManifest(this.observed, [OBSERVED_TAG], false);
    await this.writer(CONTENDED_REPOSITORY).pushBlob(this.config);
  }

  /** Until `isOver`. If a client fails, that is a problem, and the others continue. */
  async run(isOver: () => boolean): Promise<void> {
    const taggers = Array.from({ length: this.settings.taggers }, (_, index) => {
      const label = `tagger ${index}`;
      return this.contention.run(this.requests(label), this.random.fork(label), isOver);
    });
    const all = [...this.clients.map((client) => client.run(isOver)), ...taggers];
    for (const outcome of await Promise.allSettled(all)) {
      if (outcome.status === 'rejected') this.results.failed(outcome.reason);
    }
  }

  /** Watches until `isOver`. */
  async watch(isOver: () => boolean): Promise<void> {
    await Promise.all([
      this.observer.run(isOver),
      watchMachine(this.cluster.postgres, this.timeline, isOver),
    ]);
  }

  /** Checks after the last fault that everything acknowledged exists. */
  async check(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.checks.everything()));
    await this.contention.check(this.requests('contention'), this.deadline);
  }

  /** Evaluates the observations, after all faults and their times are known. */
  evaluate(): void {
    this.observer.evaluate();
    for (const kind of this.results.missingOperations(LOAD_OPERATIONS)) {
      this.results.problem(`did not occur: ${kind}`);
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
      results: this.results,
      random: this.random.fork(name),
    };
  }

  private requests(label: string): RetryingRequests {
    return new RetryingRequests(label, this.url, this.results, this.deadline, this.access);
  }
}
