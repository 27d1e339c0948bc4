import pg from 'pg';
import { Cluster } from '../chaos/cluster.js';
import { Deadline } from '../chaos/deadline.js';
import { DiskStorage } from '../chaos/disk-storage.js';
import { RunResults } from '../chaos/run-results.js';
import { S3Storage } from '../chaos/s3-storage.js';
import { SeededRandom } from '../chaos/seeded-random.js';
import type { ChaosStorage } from '../chaos/storage.js';
import { Workspace } from '../chaos/workspace.js';
import { breakLock } from './broken-locks/lock-race.js';
import { LOCK_RACES } from './broken-locks/races.js';
import { BlobContents } from './blob-contents.js';
import {
  type CollectionSettings,
  collectorEnvironment,
  NO_WINDOWS,
  type Windows,
} from './collection-settings.js';
import { CollectorDriver } from './collector-driver.js';
import { DeletionRequests } from './deletion-requests.js';
import { EndChecks } from './end-checks.js';
import { ImagePusher } from './image-pusher.js';
import { ModelChecks } from './model-checks.js';
import { MODEL_OPERATIONS, ModelClient } from './model-client.js';
import { ModelRepository, type ModelTools } from './model-repository.js';
import { PauseChecks } from './pause-checks.js';
import { ReplicaRequests } from './replica-requests.js';

/** Between looking and changing, so that requests come between them. */
const BROKEN_SLEEP_SECONDS = 0.05;
const STALL_SECONDS = 300;
const SHARED_REPOSITORY = 'shared/by-all';
const DISK = { uploads: 10, maxBytes: 8 * 1024 * 1024 };
/** Sessions of killed replicas end soon. */
const END_SETTINGS = { UPLOAD_TTL_SECONDS: '2' };

/** One run: replicas, clients with models, collections, kills, checks. Removes everything in the end. */
export class CollectionRun {
  readonly results = new RunResults();
  private readonly deadline: Deadline;
  private readonly random: SeededRandom;
  private windows: Windows = NO_WINDOWS;
  private operationsDone = 0;
  private collector: CollectorDriver | undefined;
  private collections = 0;

  constructor(private readonly settings: CollectionSettings) {
    this.random = new SeededRandom(settings.seed);
    this.deadline = new Deadline(settings.limitSeconds, STALL_SECONDS, () => this.results.progressedAt);
  }

  /** Rejects only if the run could not start. Other failures are in the results. */
  async execute(): Promise<void> {
    const workspace = await Workspace.prepare();
    const storage = await this.openStorage(workspace).catch(async (error: unknown) => {
      await workspace.clear();
      throw error;
    });
    const cluster = new Cluster(workspace, storage, this.results, this.deadline, { isSecured: false });
    try {
      const [first = NO_WINDOWS] = this.settings.phases;
      await cluster.start(collectorEnvironment(first));
      await this.breakLock(cluster);
      await this.deadline.within(() => 'the model', this.perform(cluster, storage));
    } catch (error) {
      this.results.failed(error);
      for (const { index, logTail } of cluster.replicas) {
        this.results.evidence.push(`log of replica ${index}:\n  ${logTail}`);
      }
    } finally {
      await cluster.stop();
      await storage.close();
      await workspace.clear();
    }
  }

  /** On purpose, to show that the run notices. */
  private async breakLock(cluster: Cluster): Promise<void> {
    const { broken } = this.settings;
    if (broken === undefined) return;
    const races = LOCK_RACES.filter((race) => race.function === broken);
    if (races.length === 0) throw new Error(`no race breaks ${broken}`);
    const client = new pg.Client({ connectionString: cluster.postgres.url });
    await client.connect();
    // The first one: a function is broken once.
    for (const race of races.slice(0, 1)) await breakLock(race, client, BROKEN_SLEEP_SECONDS);
    await client.end();
  }

  private async perform(cluster: Cluster, storage: ChaosStorage): Promise<void> {
    const collector = (this.collector = this.newCollector(cluster));
    const clients = this.newClients(cluster);
    const repositories = clients.flatMap((client) => client.repositories);
    const { checks, tools } = this.newChecks(cluster);
    const pause = new PauseChecks(tools, checks, collector);
    for (const [index, windows] of this.settings.phases.entries()) {
      this.windows = windows;
      if (index > 0) await cluster.restartReplicas(collectorEnvironment(windows));
      for (const on of repositories) on.beginPhase(windows.untagged > 0);
      this.results.note(`phase ${index}: ${JSON.stringify(windows)}`);
      await this.load(index, clients, collector);
      await cluster.allUp();
      // What a pause finds must stay: without this, a manifest without a tag could go a moment later.
      if (windows.untagged > 0)
        await cluster.restartReplicas(collectorEnvironment({ ...windows, untagged: 0 }));
      this.results.note(`pause after phase ${index}`);
      await pause.run(repositories, windows);
      this.results.progressed();
    }
    await cluster.restartReplicas({ ...collectorEnvironment(NO_WINDOWS), ...END_SETTINGS });
    await new EndChecks(cluster, storage, this.results, collector).run(repositories);
    for (const on of repositories) await checks.everything(on);
    for (const kind of this.results.missingOperations(MODEL_OPERATIONS)) {
      this.results.problem(`did not occur: ${kind}`);
    }
    const [job] = await cluster.postgres.query<{ fence: string }>(
      `SELECT fence FROM jobs WHERE name = 'collect'`,
    );
    this.collections = Number(job?.fence);
    if (collector.kills < this.settings.kills) this.results.problem(`only ${collector.kills} kills`);
  }

  /**
   * All clients work, and collections run, until the phase has its share of operations and kills. In the last
   * phase, until each kind of operation has occurred.
   */
  private async load(
    phase: number,
    clients: readonly ModelClient[],
    collector: CollectorDriver,
  ): Promise<void> {
    const { phases, operations, kills } = this.settings;
    const share = (phase + 1) / phases.length;
    const isComplete = () => share < 1 || this.results.missingOperations(MODEL_OPERATIONS).length === 0;
    const isOver = () =>
      this.deadline.isOver ||
      (this.operationsDone >= operations * share && collector.kills >= kills * share && isComplete());
    // Kills are spread over the operations.
    const wantsKill = () =>
      collector.kills < Math.ceil(kills * Math.min(share, this.operationsDone / operations));
    const onDone = () => (this.operationsDone += 1);
    const outcomes = await Promise.allSettled([
      ...clients.map((client) => client.run(isOver, onDone)),
      collector.work(isOver, wantsKill),
    ]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') this.results.failed(outcome.reason);
  }

  private newClients(cluster: Cluster): ModelClient[] {
    const contents = this.contents;
    const names = Array.from({ length: this.settings.clients }, (_, n) => `model/client-${n}`);
    const sources = [...names, SHARED_REPOSITORY];
    return names.map((name, n) => {
      const tools = this.newTools(cluster, `client ${n}`);
      const repositories = [
        new ModelRepository(name, 't', true),
        new ModelRepository(SHARED_REPOSITORY, `c${n}-`, false),
      ];
      return new ModelClient(repositories, tools, contents, new ImagePusher(tools, contents, sources));
    });
  }

  private readonly contents = new BlobContents();

  private newChecks(cluster: Cluster): { checks: ModelChecks; tools: ModelTools } {
    const tools = this.newTools(cluster, 'pause');
    return { checks: new ModelChecks(tools, this.contents), tools };
  }

  private newCollector(cluster: Cluster): CollectorDriver {
    const { requests, random } = this.newTools(cluster, 'collector');
    return new CollectorDriver(cluster, requests, this.results, random, this.deadline);
  }

  private newTools(cluster: Cluster, label: string): ModelTools {
    const random = this.random.fork(label);
    const { results, deadline } = this;
    const requests = new ReplicaRequests(label, cluster, results, deadline, random.fork('replicas'));
    return {
      requests,
      deletions: new DeletionRequests(cluster, requests, deadline),
      results,
      random,
      windows: () => this.windows,
    };
  }

  private openStorage({ storage }: Workspace): Promise<ChaosStorage> {
    return this.settings.storage === 's3' ? S3Storage.open() : DiskStorage.open(DISK, storage);
  }

  get table(): string {
    const { results, settings } = this;
    const count = (kind: string) => results.operations.get(kind) ?? 0;
    const responses = [...results.responses].sort(([a], [b]) => a - b);
    const failures = responses.filter(([status]) => status >= 500).reduce((sum, [, n]) => sum + n, 0);
    const rows: (readonly [string, string])[] = [
      ...[...results.operations]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([kind, n]) => [kind, String(n)] as const),
      ['collections begun or continued', String(this.collections)],
      ['kill -9 of the collecting replica', String(this.collector?.kills)],
      ...results.rows,
      ['responses', responses.map(([status, n]) => `${status}: ${n}`).join(', ')],
      ['live bytes lost', String(results.bytesLost)],
      ['garbage left', String(count('garbage left'))],
      ['unknown after a HEAD within half the grace', String(count('unknown within its window'))],
      ['5xx', String(failures)],
      ['problems', String(results.problemCount)],
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    const seconds = Math.round((performance.now() - results.startedAt) / 1000);
    const title =
      `collection on ${settings.storage}: seed ${settings.seed}, ${this.operationsDone} operations of ` +
      `${settings.clients} clients, ${seconds} s`;
    return ['', title, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`), '', ''].join(
      '\n',
    );
  }
}
