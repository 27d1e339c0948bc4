import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { DeployedVersions } from '../support/deployed-versions.js';
import type { DocumentedProxy } from '../support/documented-proxy.js';
import { startNginxBefore } from '../support/nginx.js';
import { freePort } from '../support/process-bench.js';
import { digestOf } from '../support/registry-client.js';
import { describeWithClients } from '../support/registry-tool.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { Figures } from './rolling-restart/figures.js';
import { ImageClient, type PushedImage } from './rolling-restart/image-client.js';
import { ProxiedClient } from './rolling-restart/proxied-client.js';
import { ResumingClient } from './rolling-restart/resuming-client.js';

const MIB = 1024 * 1024;
const REPLICAS = 3;
const IMAGE_CLIENTS = 4;
const RESUMING_CLIENTS = 2;
const CHECKPOINT_BYTES = MIB;
/** Layers take less than the grace, slow uploads take longer. */
const GRACE_SECONDS = 8;
const LAYER_MS = 2_000;
const SLOW = { bytes: 4 * MIB, bytesPerSecond: 200 * 1024 };
/** For hangs only. */
const STOP_TIMEOUT_MS = 120_000;

describeWithClients('three replicas behind nginx', ['nginx'], () => describeRestarts(startNginxBefore));

function describeRestarts(startProxy: (replicas: readonly string[]) => Promise<DocumentedProxy>): void {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase();
  const replicas: BerthProcess[] = [];
  let settings: Record<string, string>[];
  let versions: DeployedVersions;
  let proxy: DocumentedProxy;

  beforeAll(async () => {
    const root = `${bench.newDataDir()}/storage`;
    const ports = await Promise.all(Array.from({ length: REPLICAS }, () => freePort()));
    settings = ports.map((port) => ({
      PORT: String(port),
      ACCESS_MODE: 'open',
      TRUSTED_PROXIES: '127.0.0.1',
      DATABASE_URL: database.url,
      STORAGE_FILESYSTEM_ROOT: root,
      DATA_DIR: bench.newDataDir(),
      UPLOAD_CHECKPOINT_BYTES: String(CHECKPOINT_BYTES),
      SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
    }));
    versions = await DeployedVersions.in(await mkdtemp(`${bench.scratch}/versions-`));
    for (const each of settings) replicas.push(bench.start(each, versions));
    await Promise.all(replicas.map((replica) => replica.url()));
    proxy = await startProxy(ports.map((port) => `http://127.0.0.1:${port}`));
  }, 240_000);
  afterAll(() => proxy.stop());

  async function restartAll(): Promise<void> {
    for (const [index, environment] of settings.entries()) {
      replicas[index]?.signal('SIGTERM');
      await replicas[index]?.ended(STOP_TIMEOUT_MS);
      const started = (replicas[index] = bench.start(environment, versions));
      await started.url();
    }
  }

  /** How often the new migration has run. */
  async function countAdded(): Promise<number | null> {
    const client = new pg.Client(database.connection);
    await client.connect();
    const { rowCount } = await client.query("SELECT FROM migrations WHERE name = 'Added9000000000001'");
    await client.end();
    return rowCount;
  }

  it('are restarted and upgraded: no request fails, and no client sends a durable byte again', async () => {
    const figures = new Figures();
    const images: PushedImage[] = [];
    const blobs: string[] = [];
    let isOver = false;
    const clients: ProxiedClient[] = [];
    const newClient = () => {
      const client = new ProxiedClient(proxy.url, proxy.authority, figures);
      clients.push(client);
      return client;
    };
    const repeat = async (work: (turn: number) => Promise<void>) => {
      for (let turn = 0; !isOver; turn += 1)
        await work(turn).catch((error: unknown) => void figures.failures.push(String(error)));
    };
    const pushAndPull = async (n: number) => {
      const client = new ImageClient(newClient(), LAYER_MS);
      await repeat(async (turn) => {
        const layers = [randomBytes(MIB), randomBytes(2 * MIB)];
        const image = await client.push(`rolling/images-${n}`, `v${turn}`, layers);
        images.push(image);
        await client.pull(image);
      });
    };
    const upload = async (n: number) => {
      const client = new ResumingClient(newClient(), SLOW.bytesPerSecond);
      await repeat(
        async () => void blobs.push(await client.push(`rolling/slow-${n}`, randomBytes(SLOW.bytes))),
      );
    };
    const load = [
      ...Array.from({ length: IMAGE_CLIENTS }, (_, n) => pushAndPull(n)),
      ...Array.from({ length: RESUMING_CLIENTS }, (_, n) => upload(n)),
    ];
    await restartAll();
    // The next time for an upgrade: the first new replica migrates, beside two of the version before.
    await versions.deployMigration('Added9000000000001', 'CREATE TABLE added (id int)');
    await restartAll();
    isOver = true;
    await Promise.all(load);

    console.log(`rolling restart: ${figures.toString()}`);
    expect(figures.failures).toEqual([]);
    expect(figures.resumed).toBeGreaterThan(0);
    expect(figures.mostAgain).toBeLessThanOrEqual(CHECKPOINT_BYTES);
    expect(await countAdded()).toBe(1);
    const client = newClient();
    const reader = new ImageClient(client, LAYER_MS);
    for (const image of images) await reader.pull(image);
    for (const path of blobs)
      expect(digestOf((await client.expect(200, 'GET', path)).body)).toBe(path.split('/').at(-1));
    for (const each of clients) each.close();
  }, 600_000);
}
