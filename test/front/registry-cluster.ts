import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ChaosPostgres } from '../chaos/postgres.js';
import { builtMain } from '../support/built-berth.js';
import { freePort } from '../support/process-bench.js';
import { freshBucket, type StartedS3Server, startRadosgw } from '../support/radosgw.js';
import type { FaultTargets } from './faults.js';
import type { StorageName } from './settings.js';
import { SupervisedServer } from './supervised-server.js';

const REPLICAS = 2;

/** What a client pushes to: replicas of a registry, behind one server whose address the client has. */
export interface PushTarget extends FaultTargets {
  /** The server in front of the replicas. */
  readonly url: URL;
  /** Ends it, and removes its files. */
  stop(): Promise<void>;
}

/** A front, two replicas, one Postgres and one storage, with default settings. */
export class RegistryCluster implements PushTarget {
  readonly replicas: SupervisedServer[] = [];
  private readonly postgres: ChaosPostgres;
  private front: SupervisedServer | undefined;
  private s3: StartedS3Server | undefined;

  private constructor(private readonly directory: string) {
    this.postgres = new ChaosPostgres(join(directory, 'postgres'));
  }

  /** Starts it with all its files in a directory. */
  static async start(directory: string, storage: StorageName): Promise<RegistryCluster> {
    await mkdir(directory, { recursive: true });
    const cluster = new RegistryCluster(directory);
    try {
      await cluster.startAll(storage);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): URL {
    return new URL(this.front?.url ?? '');
  }

  /** The ends of the logs, to find out why a push failed. */
  get logs(): string {
    const servers = [...this.replicas, ...(this.front ? [this.front] : [])];
    return servers.map(({ url, logTail }) => `log of ${url}:\n${logTail}`).join('\n');
  }

  restartPostgres(): Promise<unknown> {
    return this.postgres.restart();
  }

  async stop(): Promise<void> {
    await Promise.all(this.replicas.map((server) => server.stop()));
    await this.front?.stop();
    await this.postgres.stop();
    await this.s3?.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  private async startAll(storage: StorageName): Promise<void> {
    await this.postgres.start();
    const settings = await this.storageSettings(storage);
    // The first one migrates.
    for (let index = 0; index < REPLICAS; index += 1) {
      this.replicas.push(await this.startServer(`replica-${index}`, { ...settings }));
    }
    this.front = await this.startServer('front', {
      ROLE: 'front',
      FRONT_REPLICAS: this.replicas.map(({ url }) => url).join(','),
    });
  }

  private async startServer(name: string, settings: Record<string, string>): Promise<SupervisedServer> {
    const port = await freePort();
    return SupervisedServer.start({
      command: [process.execPath, await builtMain()],
      environment: { PATH: process.env['PATH'] ?? '', PORT: String(port), LOG_FORMAT: 'json', ...settings },
      url: `http://127.0.0.1:${port}`,
      directory: join(this.directory, name),
    });
  }

  private async storageSettings(storage: StorageName): Promise<Record<string, string>> {
    const shared = { DATABASE_URL: this.postgres.url };
    if (storage === 'filesystem')
      return { ...shared, STORAGE_FILESYSTEM_ROOT: join(this.directory, 'storage') };
    this.s3 = await startRadosgw();
    return {
      ...shared,
      STORAGE_DRIVER: 's3',
      STORAGE_REDIRECT: 'false',
      STORAGE_S3_ENDPOINT: this.s3.endpoint,
      STORAGE_S3_BUCKET: await freshBucket(this.s3),
      STORAGE_S3_REGION: this.s3.region,
      STORAGE_S3_ACCESS_KEY_ID: this.s3.accessKeyId,
      STORAGE_S3_SECRET_ACCESS_KEY: this.s3.secretAccessKey,
    };
  }
}
