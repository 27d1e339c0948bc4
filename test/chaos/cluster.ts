import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BerthProcess } from '../support/berth-process.js';
import { builtMain } from '../support/built-berth.js';
import { ORDINARY_BODIES } from '../support/ordinary-bodies.js';
import type { Deadline } from './deadline.js';
import { type Workspace } from './workspace.js';
import type { RunResults } from './run-results.js';
import { ChaosPostgres } from './postgres.js';
import { Replica } from './replica.js';
import {
  CHECKPOINT_BYTES,
  type ChaosSettings,
  LEASE_SECONDS,
  REPLICAS,
  WORKERS_OF_FIRST,
} from './settings.js';
import type { ChaosStorage } from './storage.js';

const START_SECONDS = 300;
const STOP_MS = 60_000;

export type ClusterOptions = Pick<ChaosSettings, 'isSecured'> & Partial<Pick<ChaosSettings, 'bodies'>>;

/** Several replicas, one Postgres, one storage. */
export class Cluster {
  readonly replicas: readonly Replica[];
  readonly postgres: ChaosPostgres;
  private extraSettings: Record<string, string> = {};
  private main = '';

  constructor(
    private readonly workspace: Workspace,
    private readonly storage: ChaosStorage,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
    private readonly options: ClusterOptions,
  ) {
    this.postgres = new ChaosPostgres(join(workspace.root, 'postgres'));
    this.replicas = Array.from({ length: REPLICAS }, (_, index) => {
      return new Replica(
        index,
        () => this.spawn(index),
        (text) => this.results.problem(text),
      );
    });
  }

  /** @param settings additional ones. */
  async start(settings: Record<string, string> = {}): Promise<void> {
    this.extraSettings = settings;
    this.main = await builtMain();
    await this.postgres.start();
    await this.startReplicas();
  }

  /** Stops every replica with SIGTERM, and starts it with additional settings. */
  async restartReplicas(settings: Record<string, string>): Promise<void> {
    await this.stopReplicas();
    this.extraSettings = settings;
    await this.startReplicas();
  }

  async allUp(): Promise<void> {
    await this.deadline.until(
      'every replica to be up',
      () => this.replicas.every(({ isUp }) => isUp),
      START_SECONDS,
    );
  }

  async stop(): Promise<void> {
    for (const replica of this.replicas) replica.kill();
    await Promise.race([this.stopReplicas(), delay(STOP_MS, undefined, { ref: false })]);
    await this.postgres.stop();
  }

  private async startReplicas(): Promise<void> {
    for (const replica of this.replicas) replica.start();
    await this.allUp();
  }

  private async stopReplicas(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  private readsOrdinarily(index: number): boolean {
    const { bodies = 'mixed' } = this.options;
    return bodies === 'ordinary' || (bodies === 'mixed' && index === REPLICAS - 1);
  }

  private async spawn(index: number): Promise<BerthProcess> {
    const settings = {
      PORT: '0',
      DATA_DIR: join(this.workspace.root, `replica-${index}`),
      DATABASE_URL: this.postgres.url,
      ...this.storage.environment(index),
      UPLOAD_CHECKPOINT_BYTES: String(CHECKPOINT_BYTES),
      UPLOAD_LEASE_SECONDS: String(LEASE_SECONDS),
      SHUTDOWN_GRACE_SECONDS: '1',
      WORKERS: String(index === 0 ? WORKERS_OF_FIRST : 1),
      ACCESS_MODE: this.options.isSecured ? 'token' : 'open',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
      // The model does not know what follows a deletion. `test/collection` has one that does.
      GC_INTERVAL_SECONDS: '0',
      ...(this.readsOrdinarily(index) ? ORDINARY_BODIES : {}),
      ...this.extraSettings,
    };
    const process = new BerthProcess(this.main, settings, this.workspace.root);
    await this.workspace.register(process.pid);
    return process;
  }
}
