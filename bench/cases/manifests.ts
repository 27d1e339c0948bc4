import { MANIFEST_TYPE, type PlannedRequest, type PushedImage } from '../load/jobs.js';
import { defineGroup, perSecond, type BenchCase, type CaseGroup, type Target } from './bench-case.js';
import { verifyDigest } from './check.js';
import { connectionsText } from './sizes.js';

const REPOSITORY = 'bench/small';
const CONNECTIONS = [1, 32, 128];

type Read = (image: PushedImage) => Pick<PlannedRequest, 'method' | 'path'>;

const READS: readonly (readonly [string, Read])[] = [
  ['GET by tag', ({ tag }) => ({ method: 'GET', path: `/v2/${REPOSITORY}/manifests/${tag}` })],
  [
    'GET by digest',
    ({ manifest }) => ({ method: 'GET', path: `/v2/${REPOSITORY}/manifests/${manifest.digest}` }),
  ],
  ['HEAD by tag', ({ tag }) => ({ method: 'HEAD', path: `/v2/${REPOSITORY}/manifests/${tag}` })],
];

/** Reads of one small manifest. */
export function manifestReads(): CaseGroup {
  return defineGroup(
    'manifest reads',
    seedSmallImage,
    READS.flatMap(([name, read]) => CONNECTIONS.map((connections) => manifestCase(name, read, connections))),
  );
}

function manifestCase(name: string, read: Read, connections: number): BenchCase<PushedImage> {
  return {
    name: `manifest ${name}, ${connectionsText(connections)}`,
    unit: 'requests/s',
    run: async ({ generator, server }, image, { seconds }) => {
      const { method, path } = read(image);
      const bodyBytes = method === 'HEAD' ? 0 : image.manifest.sizeBytes;
      const request = { method, path, status: 200, bodyBytes, headers: { Accept: MANIFEST_TYPE } };
      return perSecond(
        await generator.run({
          kind: 'requests',
          port: server.port,
          connections,
          seconds,
          requests: [request],
        }),
      );
    },
    verify: (target, image) => verifyDigest(target, read(image).path, image.manifest.digest),
  };
}

const seedSmallImage = (target: Target): Promise<PushedImage> => pushSmallImage(target, REPOSITORY, 'small');

/** Pushes an image of one small layer. */
export async function pushSmallImage(
  { generator, server, sizes }: Target,
  repository: string,
  tag: string,
): Promise<PushedImage> {
  const { images } = await generator.run({
    kind: 'push images',
    form: 'patch',
    port: server.port,
    clients: 1,
    parallel: 1,
    repository,
    layers: 1,
    layerBytes: sizes.smallBlobBytes,
    label: tag,
    tag,
  });
  const [image] = images;
  if (!image) throw new Error('no image was pushed');
  return image;
}
