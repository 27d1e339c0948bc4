import {
  defineGroup,
  megabytesPerSecond,
  perSecond,
  type BenchCase,
  type CaseGroup,
  type Target,
} from '../cases/bench-case.js';
import { fetchFrom, verifyDigest } from '../cases/check.js';
import { pushSmallImage } from '../cases/manifests.js';
import { sizeText, type Sizes } from '../cases/sizes.js';
import { MANIFEST_TYPE, type PlannedRequest, type PushedBlob, type UploadForm } from '../load/jobs.js';

const TAG = 'small';
/** Contents prepared before each round: more than one connection can push in a second. */
const MAX_SMALL_PUSHES_PER_SECOND = 2_000;

/** What a target has, and the last blob that was pushed to it. */
interface Content {
  readonly repository: string;
  readonly large: PushedBlob;
  readonly manifest: PushedBlob;
  last: PushedBlob | undefined;
}

/** What one client does on one connection, so that nothing hides the time that a front adds. */
export function frontCases(sizes: Sizes): CaseGroup {
  const { largeBlobBytes, smallBlobBytes } = sizes;
  return defineGroup('through a front', seedContent, [
    push(`push of ${sizeText(largeBlobBytes)}, POST + PUT`, largeBlobBytes, 'put'),
    push(`push of ${sizeText(largeBlobBytes)}, POST + chunked PATCH + PUT`, largeBlobBytes, 'stream'),
    {
      ...reads(`pull of ${sizeText(largeBlobBytes)}`, (content) => ({
        ...get(blobPath(content, content.large)),
        bodyBytes: content.large.sizeBytes,
      })),
      verify: (target, content) => verifyBlob(target, content, content.large),
    },
    push(`push of ${sizeText(smallBlobBytes)}, one POST`, smallBlobBytes, 'post'),
    {
      ...reads('manifest GET by tag', (content) => ({
        ...get(manifestPath(content)),
        headers: { Accept: MANIFEST_TYPE },
      })),
      verify: (target, content) => verifyDigest(target, manifestPath(content), content.manifest.digest),
    },
    {
      ...reads('GET /v2/', () => get('/v2/')),
      verify: async (target) => {
        await fetchFrom(target, '/v2/');
      },
    },
  ]);
}

function push(name: string, sizeBytes: number, form: UploadForm): BenchCase<Content> {
  const isSmall = form === 'post';
  return {
    name,
    unit: isSmall ? 'pushes/s' : 'MB/s',
    run: async (target, content, { number, seconds }) => {
      const many = { count: Math.ceil(seconds * MAX_SMALL_PUSHES_PER_SECOND), seconds };
      const few = { count: number < 1 ? 1 : target.sizes.largePushesPerRound };
      const result = await pushTo(target, form, sizeBytes, `${form} ${number}`, isSmall ? many : few);
      content.last = result.blobs.at(-1);
      return isSmall ? perSecond(result) : megabytesPerSecond(result);
    },
    verify: (target, content) => verifyBlob(target, content, content.last),
  };
}

function reads(name: string, plan: (content: Content) => PlannedRequest): Omit<BenchCase<Content>, 'verify'> {
  return {
    name,
    unit: 'requests/s',
    run: async ({ generator, server: { port } }, content, { seconds }) =>
      perSecond(
        await generator.run({ kind: 'requests', port, connections: 1, seconds, requests: [plan(content)] }),
      ),
  };
}

async function seedContent(target: Target): Promise<Content> {
  const { blobs } = await pushTo(target, 'put', target.sizes.largeBlobBytes, 'to be pulled', { count: 1 });
  const [large] = blobs;
  if (!large) throw new Error('no blob was pushed');
  const repository = repositoryOf(target);
  const { manifest } = await pushSmallImage(target, repository, TAG);
  return { repository, large, manifest, last: undefined };
}

/** Both ways lead to the same registry, so each has its own repository and contents. */
function repositoryOf({ server }: Target): string {
  return `bench/${server.port}`;
}

function pushTo(
  target: Target,
  form: UploadForm,
  sizeBytes: number,
  label: string,
  amount: { readonly count: number; readonly seconds?: number },
) {
  const { port } = target.server;
  const repository = repositoryOf(target);
  return target.generator.run({
    ...{ kind: 'push', port, connections: 1, repository, form, sizeBytes },
    ...amount,
    label: `${label} in ${repository}`,
  });
}

function get(path: string): PlannedRequest {
  return { method: 'GET', path, status: 200 };
}

function blobPath({ repository }: Content, { digest }: PushedBlob): string {
  return `/v2/${repository}/blobs/${digest}`;
}

function manifestPath({ repository }: Content): string {
  return `/v2/${repository}/manifests/${TAG}`;
}

async function verifyBlob(target: Target, content: Content, blob: PushedBlob | undefined): Promise<void> {
  if (!blob) throw new Error('no blob was pushed');
  await verifyDigest(target, blobPath(content, blob), blob.digest);
}
