import { bareUploadsName, LAYERS_AT_ONCE } from '../limits/limit-names.js';
import type { PushedImage } from '../load/jobs.js';
import {
  defineGroup,
  megabytesPerSecond,
  perSecond,
  type BenchCase,
  type CaseGroup,
  type Target,
} from './bench-case.js';
import { verifyDigest } from './check.js';
import { sizeText, type Sizes } from './sizes.js';

const REPOSITORY = 'bench/images';
/** docker's default number of concurrent transfers. */
const UPLOADS = 5;
const DOWNLOADS = 3;

interface Pushed {
  /** Pushed before the first case, for the pulls. */
  readonly first: readonly PushedImage[];
  last: readonly PushedImage[];
}

interface Clients {
  readonly count: number;
  /** `patch`: each layer in a PATCH with its length. `stream`: in chunked PATCHes, as docker does. */
  readonly form: 'patch' | 'stream';
}

/**
 * Several clients push and pull whole images at once, as docker does. One group for each way to push, so that
 * the disk holds the data of one at a time.
 */
export function imageTransfers(sizes: Sizes): CaseGroup[] {
  const most = sizes.clients.at(-1) ?? 1;
  const groups = sizes.clients.map((count) =>
    imageGroup(sizes, { count, form: 'patch' }, count === most ? [pullCase(sizes, most)] : []),
  );
  return [...groups, imageGroup(sizes, { count: most, form: 'stream' }, [])];
}

function imageGroup(sizes: Sizes, clients: Clients, pulls: BenchCase<Pushed>[]): CaseGroup {
  const what = whatText(sizes, clients.count);
  const push: BenchCase<Pushed> = {
    name: `image push ${what}${clients.form === 'stream' ? ', chunked PATCHes' : ''}`,
    unit: 'images/s',
    isPush: true,
    bound: {
      limit: bareUploadsName(sizes.layerBytes, LAYERS_AT_ONCE),
      divisor: (sizes.layers * sizes.layerBytes) / 1e6,
    },
    run: async (target, pushed, { number }) => {
      const result = await pushImages(target, clients, `round ${number}`);
      pushed.last = result.images;
      return perSecond(result);
    },
    verify: (target, { last }) => verifyImages(target, last),
  };
  const seed = async (target: Target): Promise<Pushed> => {
    const { images } = await pushImages(target, clients, 'seed');
    return { first: images, last: images };
  };
  return defineGroup(`images by ${clients.form}, ${clients.count} clients`, seed, [push, ...pulls]);
}

function pullCase(sizes: Sizes, count: number): BenchCase<Pushed> {
  return {
    name: `image pull ${whatText(sizes, count)}`,
    unit: 'MB/s',
    run: async ({ generator, server }, { first }) =>
      megabytesPerSecond(
        await generator.run({
          kind: 'pull images',
          port: server.port,
          parallel: DOWNLOADS,
          repository: REPOSITORY,
          images: first,
        }),
      ),
    verify: (target, { first }) => verifyImages(target, first),
  };
}

function whatText({ layers, layerBytes }: Sizes, clients: number): string {
  return `of ${layers} layers of ${sizeText(layerBytes)}, ${clients} clients`;
}

function pushImages(
  { generator, server, sizes }: Target,
  { count, form }: Clients,
  label: string,
): ReturnType<Target['generator']['run']> {
  return generator.run({
    kind: 'push images',
    port: server.port,
    clients: count,
    parallel: UPLOADS,
    repository: REPOSITORY,
    form,
    layers: sizes.layers,
    layerBytes: sizes.layerBytes,
    // A quick run has all groups on one server.
    label: `${form}/${count}/${label}`,
  });
}

async function verifyImages(target: Target, images: readonly PushedImage[]): Promise<void> {
  for (const { tag, manifest, blobs } of images) {
    await verifyDigest(target, `/v2/${REPOSITORY}/manifests/${tag}`, manifest.digest);
    for (const { digest } of blobs) await verifyDigest(target, `/v2/${REPOSITORY}/blobs/${digest}`, digest);
  }
}
