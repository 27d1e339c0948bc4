import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithRadosgw } from '../support/radosgw.js';
import { describeWithClients } from '../support/registry-tool.js';
import { PeerCluster } from './peer-cluster.js';
import { pullImage } from './pulled-image.js';
import { PushBench } from './push-bench.js';
import { type ClientName, PUSH_CLIENTS } from './push-clients.js';
import { RegistryCluster } from './registry-cluster.js';
import { type ResultRow, resultsTable } from './results-table.js';
import { frontSettings, type Row, STORAGES } from './settings.js';

/** The client sends its layer once: the rest is heads, framing, the configuration and the manifest. */
const MOST_SENT = 1.01;
/** For hangs only. */
const PUSH_TIMEOUT_MS = 1_800_000;

const settings = frontSettings(process.env);
let bench: PushBench;
const results: ResultRow[] = [];
beforeAll(async () => void (bench = await PushBench.open(settings)), PUSH_TIMEOUT_MS);
afterAll(async () => {
  process.stdout.write(resultsTable(results, settings.layerBytes));
  await bench.dispose();
});

/** Pushes to a registry of this push alone: no client finds its layer there already. */
async function pushed({ storage, client, fault }: Row): Promise<void> {
  const cluster = await RegistryCluster.start(bench.newDirectory(), storage);
  try {
    const result = await bench.push(client, fault, cluster, 'team/big');
    const images = result.succeeded
      ? await Promise.all(cluster.replicas.map(({ url }) => pullImage(url, 'team/big')))
      : [];
    const layerBytes = images[0]?.layer.size;
    results.push({ ...result, registry: `Berth, ${storage}`, layerBytes });
    expect(result).toMatchObject({ succeeded: true, output: expect.not.stringMatching(/retry/i) });
    for (const image of images) {
      expect(image.receivedDigest).toBe(image.layer.digest);
      expect(image.diffIds).toEqual([bench.image.diffId]);
    }
    expect(result.sentBytes / Number(layerBytes)).toBeLessThanOrEqual(MOST_SENT);
    // Otherwise the test shows nothing: the layer is too small.
    expect(result.hits).toBeGreaterThan(0);
  } catch (error) {
    process.stderr.write(`${client}, ${fault}:\n${results.at(-1)?.output}\n${cluster.logs}\n`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

/** The same with distribution. What becomes of the push is in the table. */
async function pushedToPeer(client: ClientName, buffersRequests: boolean): Promise<void> {
  const cluster = await PeerCluster.start(bench.newDirectory(), buffersRequests);
  try {
    const result = await bench.push(client, 'kill', cluster, 'team/big');
    const image = await pullImage(cluster.replicas[0]?.url ?? '', 'team/big').catch(() => undefined);
    const isWhole = image !== undefined && image.receivedDigest === image.layer.digest;
    const registry = `distribution, nginx ${buffersRequests ? 'with' : 'without'} buffering`;
    results.push({ ...result, registry, layerBytes: isWhole ? image.layer.size : undefined });
    expect(result.hits).toBeGreaterThan(0);
  } finally {
    await cluster.stop();
  }
}

function describeClient(client: ClientName, define: () => void): void {
  const { programs, needsRoot = false } = PUSH_CLIENTS[client];
  if (!needsRoot || process.getuid?.() === 0) return describeWithClients(client, programs, define);
  process.stderr.write(`Skipped: ${client}, since only root can start its daemon.\n`);
  describe.skip(`${client} (only root can start its daemon)`, define);
}

for (const storage of STORAGES) {
  const rows = settings.rows.filter((row) => row.storage === storage);
  if (rows.length === 0) continue;
  const describing = storage === 's3' ? describeWithRadosgw : describe;
  describing(`A push through a front to two replicas: ${storage}`, () => {
    for (const row of rows) {
      describeClient(row.client, () => {
        it(`survives: ${row.fault}`, () => pushed(row), PUSH_TIMEOUT_MS);
      });
    }
  });
}

if (settings.peerClients.length > 0) {
  describeWithClients('The same kills of distribution behind nginx', ['docker-registry', 'nginx'], () => {
    for (const client of settings.peerClients) {
      describeClient(client, () => {
        it.each([false, true])(
          'is measured, with nginx that buffers requests: %s',
          (buffersRequests) => pushedToPeer(client, buffersRequests),
          PUSH_TIMEOUT_MS,
        );
      });
    }
  });
}
