import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from './cluster.js';
import { Conditions } from './conditions.js';
import { Deadline } from './deadline.js';
import { FaultInjector } from './fault-injector.js';
import { Faults } from './faults.js';
import { type Fault, faultsOn } from './fault-kinds.js';
import { FinalChecks } from './final-checks.js';
import { Ground } from './ground.js';
import { ImageLoad, LOAD_OPERATIONS } from './image-load.js';
import { Ledger } from './ledger.js';
import { ChaosProxy } from './proxy.js';
import { resultsTable } from './results-table.js';
import { SeededRandom } from './seeded-random.js';
import { openStorage } from './open-storage.js';
import { CHECKPOINT_BYTES, type ChaosSettings } from './settings.js';
import type { ChaosStorage } from './storage.js';
import { UploadClient } from './upload-client.js';
import { QUIRKS, type UploadPlan, UploadPlanner } from './upload-plan.js';

const CLIENTS = 8;
/** The maximum number of uploads is this many times the wanted number. */
const MAX_EXTRA = 3;
/** The part of the uploads during which all kinds of faults are injected. */
const FAULTS_PART = 0.6;
/** Without progress for this long the run hangs. */
const STALL_SECONDS = 300;
/** After the deadline, requests and faults end within this time. */
const END_MS = 60_000;

/** One run: a cluster is set up, used, maltreated, healed, examined and taken away. */
export class ChaosRun {
  readonly ledger = new Ledger();
  private readonly deadline: Deadline;
  private readonly planner: UploadPlanner;
  private begun = 0;
  private meantToCommit = 0;
  private readonly seed: SeededRandom;
  private readonly active = new Map<UploadPlan, UploadClient>();
  private readonly faults: readonly Fault[];
  private readonly kinds: readonly string[];
  private storageRows: [string, string][] = [];
  /** Why nothing could be done to the storage here, where that is so. */
  storageProblem: string | undefined;

  constructor(private readonly settings: ChaosSettings) {
    this.seed = new SeededRandom(settings.seed);
    this.deadline = new Deadline(settings.limitSeconds, STALL_SECONDS, () => this.ledger.progressedAt);
    this.planner = new UploadPlanner(settings, this.seed);
    this.faults = faultsOn(settings.storage).filter((kind) => settings.faults.test(kind));
    this.kinds = [...this.faults, ...QUIRKS];
  }

  /**
   * Rejects only where it could not begin: what went wrong is in the ledger. Nothing is left running, mounted
   * or on the disk.
   */
  async execute(): Promise<void> {
    const ground = await Ground.prepare();
    const storage = await openStorage(this.settings, ground.storage).catch(async (error: unknown) => {
      await ground.clear();
      throw error;
    });
    this.storageProblem = storage.problem;
    const cluster = new Cluster(ground, storage, this.ledger, this.deadline);
    const proxy = new ChaosProxy(cluster.replicas, (path) =>
      this.ledger.injected('answer of a commit lost', path),
    );
    const performance = this.perform(storage, cluster, proxy);
    try {
      await this.deadline.within(() => this.waitsFor(), performance);
    } catch (error) {
      this.ledger.failed(error);
      // Whatever is still at work ends by itself at the deadline.
      await Promise.race([performance.catch(() => undefined), delay(END_MS, undefined, { ref: false })]);
      for (const { index, logTail } of cluster.replicas) {
        this.ledger.evidence.push(`replica ${index} said:\n  ${logTail}`);
      }
    } finally {
      this.addLogs(cluster);
      await proxy.stop();
      await cluster.stop();
      this.storageRows = storage.rows();
      await storage.close();
      await ground.clear();
    }
  }

  get table(): string {
    return resultsTable(this.settings, this.ledger, this.begun, this.meantToCommit, this.storageRows);
  }

  private async perform(storage: ChaosStorage, cluster: Cluster, proxy: ChaosProxy): Promise<void> {
    await cluster.start();
    const url = await proxy.start();
    this.ledger.note('the cluster is up');
    const conditions = new Conditions();
    const { settings, ledger, deadline } = this;
    const random = this.seed.fork('images');
    const images = new ImageLoad(settings, url, cluster, conditions, ledger, deadline, random);
    await images.prepare();
    let isOver = false;
    const watching = images.watch(() => isOver);
    const injector = new FaultInjector(
      new Faults(cluster, storage, proxy, ledger, conditions, settings.longFreezeMs),
      this.settings.faultPace,
      this.ledger,
      this.seed.fork('faults'),
      () => this.wantedFaults(),
    );
    const faults = injector.run();
    const working = images.run(() => this.deadline.isOver || (isOver && this.didEverything));
    try {
      await this.upload(url, proxy);
      this.ledger.note('the uploads are over');
    } finally {
      injector.finish();
      await faults;
      isOver = true;
      await Promise.all([working, watching]);
      images.judge();
    }
    proxy.endHanging();
    this.ledger.note('the faults are over');
    await new FinalChecks(url, cluster, storage, this.ledger, this.deadline, images).run();
    this.ledger.note('the checks are over');
    this.judge();
  }

  /**
   * All kinds until most uploads are committed; then those that have not been injected yet, so that the run
   * ends.
   */
  private wantedFaults(): readonly Fault[] {
    if (this.ledger.uploadsCommitted < FAULTS_PART * this.settings.uploads) return this.faults;
    const missing = new Set(this.ledger.missing(this.faults));
    return this.faults.filter((kind) => missing.has(kind));
  }

  private get didEverything(): boolean {
    return this.ledger.missingOperations(LOAD_OPERATIONS).length === 0;
  }

  private async upload(url: string, proxy: ChaosProxy): Promise<void> {
    const begunAt = performance.now();
    const work = async () => {
      for (let plan = this.nextPlan(); plan !== undefined; plan = this.nextPlan()) {
        await delay(Math.max(0, begunAt + plan.startsAtMs - performance.now()));
        const client = new UploadClient(plan, { url, proxy, ledger: this.ledger, deadline: this.deadline });
        this.active.set(plan, client);
        await client.run();
        this.active.delete(plan);
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: CLIENTS }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') this.ledger.failed(outcome.reason);
  }

  /**
   * As many as are wanted, and more while a kind of fault has not come about, since many need an upload to
   * happen to.
   */
  private nextPlan(): UploadPlan | undefined {
    const { uploads } = this.settings;
    const isEnough = this.begun >= uploads && this.ledger.missing(this.kinds).length === 0;
    if (isEnough || this.begun >= uploads * MAX_EXTRA) return undefined;
    const plan = this.planner.plan();
    this.begun += 1;
    if (plan.ending === 'commit') this.meantToCommit += 1;
    return plan;
  }

  private judge(): void {
    const { mostUnrecordedBytes } = this.ledger;
    if (mostUnrecordedBytes > CHECKPOINT_BYTES) {
      this.ledger.problem(`after a kill ${mostUnrecordedBytes} bytes had to be sent again`);
    }
    for (const kind of this.ledger.missing(this.kinds)) this.ledger.problem(`did not come about: ${kind}`);
    if (this.ledger.uploadsCommitted !== this.meantToCommit)
      this.ledger.problem('not every upload was committed');
  }

  /** What the replicas logged about requests that ended in a problem. */
  private addLogs({ replicas }: Cluster): void {
    for (const problem of this.ledger.problems) {
      const [, requestId] = /"requestId":"([^"]+)"/.exec(problem) ?? [];
      if (requestId === undefined) continue;
      const lines = replicas.flatMap((replica) => replica.logLinesWith(requestId));
      this.ledger.evidence.push(...new Set(lines));
    }
  }

  private waitsFor(): string {
    return [...this.active.values()].map(({ state }) => state).join('; ');
  }
}
