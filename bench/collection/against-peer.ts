import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HOST } from '../load/connection.js';
import { ContentMaker, type Content } from '../load/content.js';
import type { LoadGenerator } from '../load/load-generator.js';
import { MANIFEST_TYPE } from '../load/jobs.js';
import { markdownTable, numberText } from '../report/table.js';
import type { PeerServer } from '../servers/peer.server.js';
import type { CollectingBerth } from './collecting-berth.js';
import { countFiles } from './count-files.js';
import { ImagePushes } from './image-pushes.js';

/** The same for both. */
export interface GarbageSize {
  readonly images: number;
  readonly layers: number;
  readonly layerBytes: number;
}

const GARBAGE = 'bench/garbage';
const KEPT = 'bench/kept';
const CLIENTS = 4;
/** Images of the garbage that are pushed at the same time. */
const AT_ONCE = 10;

/** A registry with garbage. */
interface Collected {
  readonly name: string;
  readonly port: number;
  /** Where the bytes of blobs are. */
  readonly blobs: string;
  /** Makes the images of `GARBAGE` garbage, given their manifests' digests. */
  discard(manifests: readonly string[]): Promise<void>;
  collect(): Promise<void>;
}

/**
 * The same garbage in both registries, collected while clients push: how long it takes, whether the pushes
 * are accepted, and whether they can be pulled whole afterwards.
 */
export async function againstPeer(
  berth: CollectingBerth,
  peer: PeerServer,
  peerProgram: string,
  generator: LoadGenerator,
  size: GarbageSize,
): Promise<string> {
  const registries: Collected[] = [
    {
      name: 'Berth',
      port: berth.port,
      blobs: join(berth.server.directory, 'data/storage/blobs'),
      discard: () => berth.purgeRepository(GARBAGE),
      collect: async () => berth.ended(await berth.startCollection()),
    },
    {
      name: `${peer.name}, garbage-collect`,
      port: peer.port,
      blobs: join(peer.directory, 'storage/docker/registry/v2/blobs'),
      discard: async (manifests) => {
        for (const digest of manifests) await deleteManifest(peer.port, digest);
      },
      collect: async () => {
        const args = ['garbage-collect', join(peer.directory, 'config.yml')];
        await promisify(execFile)(peerProgram, args, { maxBuffer: 1024 ** 3 });
      },
    },
  ];
  const rows: string[][] = [];
  for (const registry of registries) rows.push(await measure(registry, generator, size));
  return markdownTable(
    [
      'garbage of the same images',
      'blobs before',
      'blobs after',
      'seconds',
      'pushes meanwhile',
      'refused',
      'broken',
    ],
    rows,
  );
}

async function measure(registry: Collected, generator: LoadGenerator, size: GarbageSize): Promise<string[]> {
  const manifests: string[] = [];
  while (manifests.length < size.images) {
    const { images } = await generator.run({
      ...{ kind: 'push images', port: registry.port, clients: AT_ONCE, parallel: 1, repository: GARBAGE },
      ...{
        form: 'patch',
        layers: size.layers,
        layerBytes: size.layerBytes,
        label: `garbage ${manifests.length}`,
      },
    } as const);
    manifests.push(...images.map(({ manifest }) => manifest.digest));
  }
  const pushes = new ImagePushes(registry.port, KEPT, size.layerBytes);
  // A layer that the kept repository had, and that nothing needs any more.
  const old = Array.from({ length: 20 }, (_, n) => new ContentMaker(size.layerBytes).make(`old ${n}`));
  for (const layer of old) await pushes.provide(layer);
  await registry.discard(manifests);
  const before = await countFiles(registry.blobs);
  let isOver = false;
  const since = performance.now();
  const pushing = Array.from({ length: CLIENTS }, (_, client) =>
    pushUntil(() => isOver, pushes, client, old),
  );
  await registry.collect();
  const seconds = (performance.now() - since) / 1000;
  isOver = true;
  await Promise.all(pushing);
  const after = await countFiles(registry.blobs);
  for (const why of new Set(pushes.refused)) process.stderr.write(`${registry.name}: ${why}\n`);
  const counts = [
    pushes.acknowledged.length + pushes.refused.length,
    pushes.refused.length,
    await pushes.broken(),
  ];
  return [registry.name, String(before), String(after), numberText(seconds), ...counts.map(String)];
}

async function pushUntil(
  isOver: () => boolean,
  pushes: ImagePushes,
  client: number,
  old: readonly Content[],
): Promise<void> {
  for (let n = 0; !isOver(); n += 1) {
    const known = old[(client + n * CLIENTS) % old.length];
    if (known) await pushes.push(`client-${client}-${n}`, known);
  }
}

async function deleteManifest(port: number, digest: string): Promise<void> {
  const response = await fetch(`http://${HOST}:${port}/v2/${GARBAGE}/manifests/${digest}`, {
    method: 'DELETE',
    headers: { Accept: MANIFEST_TYPE },
  });
  await response.arrayBuffer();
  if (response.status !== 202) throw new Error(`DELETE of a manifest: ${response.status}`);
}
