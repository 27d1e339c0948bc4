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

/** The last pushed images. */
interface Pushed {
  images: readonly PushedImage[];
}

/** Several clients push and pull whole images at once, as docker does. */
export function imageTransfers(sizes: Sizes): CaseGroup {
  const what = `of ${sizes.layers} layers of ${sizeText(sizes.layerBytes)}, ${sizes.clients} clients`;
  const push: BenchCase<Pushed> = {
    name: `image push ${what}`,
    unit: 'images/s',
    run: async (target, pushed, { number }) => {
      const result = await pushImages(target, `round ${number}`);
      pushed.images = result.images;
      return perSecond(result);
    },
    verify: verifyImages,
  };
  const pull: BenchCase<Pushed> = {
    name: `image pull ${what}`,
    unit: 'MB/s',
    run: async ({ generator, server }, { images }) =>
      megabytesPerSecond(
        await generator.run({
          kind: 'pull images',
          port: server.port,
          parallel: DOWNLOADS,
          repository: REPOSITORY,
          images,
        }),
      ),
    verify: verifyImages,
  };
  const seed = async (target: Target): Promise<Pushed> => ({
    images: (await pushImages(target, 'seed')).images,
  });
  return defineGroup('images', seed, [push, pull]);
}

function pushImages(
  { generator, server, sizes }: Target,
  label: string,
): ReturnType<Target['generator']['run']> {
  return generator.run({
    kind: 'push images',
    port: server.port,
    clients: sizes.clients,
    parallel: UPLOADS,
    repository: REPOSITORY,
    layers: sizes.layers,
    layerBytes: sizes.layerBytes,
    label,
  });
}

async function verifyImages(target: Target, { images }: Pushed): Promise<void> {
  for (const { tag, manifest, blobs } of images) {
    await verifyDigest(target, `/v2/${REPOSITORY}/manifests/${tag}`, manifest.digest);
    for (const { digest } of blobs) await verifyDigest(target, `/v2/${REPOSITORY}/blobs/${digest}`, digest);
  }
}
