import { setTimeout as delay } from 'node:timers/promises';
import { ChaosAccess } from './chaos-access.js';
import { Cluster } from './cluster.js';
import { FaultTimeline } from './fault-timeline.js';
import { Deadline } from './deadline.js';
import { FaultInjector } from './fault-injector.js';
import { Faults } from './faults.js';
import { type Fault, faultsOn } from './fault-kinds.js';
import { FinalChecks } from './final-checks.js';
import { Workspace } from './workspace.js';
import { ImageLoad, LOAD_OPERATIONS } from './image-load.js';
import { RunResults } from './run-results.js';
import { ChaosProxy } from './proxy.js';
import { resultsTable } from './results-table.js';
import { SeededRandom } from './seeded-random.js';
import { openStorage } from './open-storage.js';
import { CHECKPOINT_BYTES, type ChaosSettings } from './settings.js';
import type { ChaosStorage } from './storage.js';
import { UploadClient } from './upload-client.js';
import { CLIENT_FAULTS, type UploadPlan, UploadPlanner } from './upload-plan.js';

const CLIENTS = 8;
/** The maximum number of uploads is this many times the wanted number. */
const MAX_EXTRA = 3;
/** The part of the uploads during which all kinds of faults are injected. */
const FAULTS_PART = 0.6;
/** Without progress for this long the run hangs. */
const STALL_SECONDS = 300;
/** After the deadline, requests and faults end within this time. */
const END_MS = 60_000;

/** One run: starts a cluster, loads it, injects faults, checks the result and removes everything. */
export class ChaosRun {
  readonly results = new RunResults();
  private readonly deadline: Deadline;
  private readonly planner: UploadPlanner;
  private begun = 0;
  private uploadsToCommit = 0;
  private readonly seed: SeededRandom;
  private readonly active = new Map<UploadPlan, UploadClient>();
  private readonly faults: readonly Fault[];
  private readonly kinds: readonly string[];
  private storageRows: [string, string][] = [];
  /** Why faults of the storage cannot be injected on this machine, if so. */
  storageProblem: string | undefined;

  constructor(private readonly settings: ChaosSettings) {
    this.seed = new SeededRandom(settings.seed);
    this.deadline = new Deadline(settings.limitSeconds, STALL_SECONDS, () => this.results.progressedAt);
    this.planner = new UploadPlanner(settings, this.seed);
    this.faults = faultsOn(settings.storage).filter((kind) => settings.faults.test(kind));
    this.kinds = [...this.faults, ...CLIENT_FAULTS];
  }

  /**
   * Rejects only if the run could not start. Other failures are in the results. Stops all processes, unmounts
   * the disk and deletes all files.
   */
  async execute(): Promise<void> {
    const workspace = await Workspace.prepare();
    const storage = await openStorage(this.settings, workspace.storage).catch(async (error: unknown) => {
      await workspace.clear();
      throw error;
    });
    this.storageProblem = storage.problem;
    const cluster = new Cluster(workspace, storage, this.results, this.deadline, this.settings);
    const proxy = new ChaosProxy(cluster.replicas, (path) =>
      this.results.injected('response to a commit lost', path),
    );
    const performance = this.perform(storage, cluster, proxy);
    try {
      await this.deadline.within(() => this.pending(), performance);
    } catch (error) {
      this.results.failed(error);
      // Work in progress ends by itself at the deadline.
      await Promise.race([performance.catch(() => undefined), delay(END_MS, undefined, { ref: false })]);
      for (const { index, logTail } of cluster.replicas) {
        this.results.evidence.push(`log of replica ${index}:\n  ${logTail}`);
      }
    } finally {
      this.addLogs(cluster);
      await proxy.stop();
      await cluster.stop();
      this.storageRows = storage.rows();
      await storage.close();
      await workspace.clear();
    }
  }

  get table(): string {
    return resultsTable(this.settings, this.results, this.begun, this.uploadsToCommit, this.storageRows);
  }

  private async perform(storage: ChaosStorage, cluster: Cluster, proxy: ChaosProxy): Promise<void> {
    await cluster.start();
    const url = await proxy.start();
    this.results.note('the cluster is up');
    const access = new ChaosAccess(cluster, this.results, this.deadline);
    if (this.settings.isSecured) await access.prepare(url);
    const timeline = new FaultTimeline();
    const { settings, results, deadline } = this;
    const random = this.seed.fork('images');
    const images = new ImageLoad(settings, url, cluster, timeline, results, deadline, random, access);
    await images.prepare();
    let isOver = false;
    const watching = images.watch(() => isOver);
    const changing = access.run(() => isOver);
    const injector = new FaultInjector(
      new Faults(cluster, storage, proxy, results, timeline, settings.longFreezeMs),
      this.settings.faultPace,
      this.results,
      this.seed.fork('faults'),
      () => this.wantedFaults(),
    );
    const faults = injector.run();
    const working = images.run(() => this.deadline.isOver || (isOver && this.areAllOperationsDone));
    try {
      await this.upload(url, proxy, access);
      this.results.note('the uploads are over');
    } finally {
      injector.finish();
      await faults;
      isOver = true;
      await Promise.all([working, watching, changing]);
      images.evaluate();
    }
    proxy.endHanging();
    this.results.note('the faults are over');
    await new FinalChecks(url, cluster, storage, this.results, this.deadline, images, access).run();
    this.results.note('the checks are over');
    this.evaluate();
  }

  /**
   * All kinds until most uploads are committed; then those that have not been injected yet, so that the run
   * ends.
   */
  private wantedFaults(): readonly Fault[] {
    if (this.results.uploadsCommitted < FAULTS_PART * this.settings.uploads) return this.faults;
    const missing = new Set(this.results.missing(this.faults));
    return this.faults.filter((kind) => missing.has(kind));
  }

  private get areAllOperationsDone(): boolean {
    return this.results.missingOperations(LOAD_OPERATIONS).length === 0;
  }

  private async upload(url: string, proxy: ChaosProxy, access: ChaosAccess): Promise<void> {
    const begunAt = performance.now();
    const work = async () => {
      for (let plan = this.nextPlan(); plan !== undefined; plan = this.nextPlan()) {
        await delay(Math.max(0, begunAt + plan.startsAtMs - performance.now()));
        const client = new UploadClient(plan, {
          url,
          proxy,
          access,
          results: this.results,
          deadline: this.deadline,
        });
        this.active.set(plan, client);
        await client.run();
        this.active.delete(plan);
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: CLIENTS }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') this.results.failed(outcome.reason);
  }

  /**
   * As many as configured. More while a kind of fault has not occurred, because many faults need an upload in
   * progress.
   */
  private nextPlan(): UploadPlan | undefined {
    const { uploads } = this.settings;
    const isEnough = this.begun >= uploads && this.results.missing(this.kinds).length === 0;
    if (isEnough || this.begun >= uploads * MAX_EXTRA) return undefined;
    const plan = this.planner.plan();
    this.begun += 1;
    if (plan.ending === 'commit') this.uploadsToCommit += 1;
    return plan;
  }

  private evaluate(): void {
    const { maxUnrecordedBytes } = this.results;
    if (maxUnrecordedBytes > CHECKPOINT_BYTES) {
      this.results.problem(`after a kill ${maxUnrecordedBytes} bytes had to be resent`);
    }
    for (const kind of this.results.missing(this.kinds)) this.results.problem(`did not occur: ${kind}`);
    if (this.results.uploadsCommitted !== this.uploadsToCommit)
      this.results.problem('not every upload was committed');
  }

  /** What the replicas logged about requests that ended in a problem. */
  private addLogs({ replicas }: Cluster): void {
    for (const problem of this.results.problems) {
      const [, requestId] = /"requestId":"([^"]+)"/.exec(problem) ?? [];
      if (requestId === undefined) continue;
      const lines = replicas.flatMap((replica) => replica.logLinesWith(requestId));
      this.results.evidence.push(...new Set(lines));
    }
  }

  private pending(): string {
    return [...this.active.values()].map(({ state }) => state).join('; ');
  }
}
