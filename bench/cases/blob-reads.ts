import type { PlannedRequest, PushedBlob } from '../load/jobs.js';
import {
  defineGroup,
  megabytesPerSecond,
  perSecond,
  type BenchCase,
  type CaseGroup,
  type Target,
} from './bench-case.js';
import { verifyDigest } from './check.js';
import { SeededRandom } from './seeded-random.js';
import { connectionsText, sizeText, type Sizes } from './sizes.js';

const REPOSITORY = 'bench/blobs';
const MANY = 16;
const RANGES = 4096;

interface Blobs {
  readonly small: PushedBlob;
  readonly medium: PushedBlob;
  readonly large: PushedBlob;
}

/** Reads of whole and partial blobs from the page cache. */
export function blobReads(sizes: Sizes): CaseGroup {
  return defineGroup('blob reads', seedBlobs, [
    wholeBlob(sizes.smallBlobBytes, MANY, ({ small }) => small),
    wholeBlob(sizes.mediumBlobBytes, MANY, ({ medium }) => medium),
    wholeBlob(sizes.largeBlobBytes, 1, ({ large }) => large),
    randomRanges(sizes),
  ]);
}

function wholeBlob(
  sizeBytes: number,
  connections: number,
  pick: (blobs: Blobs) => PushedBlob,
): BenchCase<Blobs> {
  const isSmall = sizeBytes < 64 * 1024;
  return {
    name: `blob GET ${sizeText(sizeBytes)}, ${connectionsText(connections)}`,
    unit: isSmall ? 'requests/s' : 'MB/s',
    run: async ({ generator, server }, blobs, { seconds }) => {
      const blob = pick(blobs);
      const request: PlannedRequest = {
        method: 'GET',
        path: pathOf(blob),
        status: 200,
        bodyBytes: blob.sizeBytes,
      };
      const job = { kind: 'requests', port: server.port, connections, seconds, requests: [request] } as const;
      const result = await generator.run(job);
      return isSmall ? perSecond(result) : megabytesPerSecond(result);
    },
    verify: (target, blobs) => verifyDigest(target, pathOf(pick(blobs)), pick(blobs).digest),
  };
}

function randomRanges({ rangeBytes, largeBlobBytes }: Sizes): BenchCase<Blobs> {
  return {
    name:
      `blob GET, ranges of ${sizeText(rangeBytes)} out of ${sizeText(largeBlobBytes)}, ` +
      `${MANY} connections`,
    unit: 'requests/s',
    run: async ({ generator, server }, { large }, round) => {
      // The same offsets for both servers.
      const random = new SeededRandom(round.number);
      const requests = Array.from({ length: RANGES }, (): PlannedRequest => {
        const from = random.below(large.sizeBytes - rangeBytes);
        const headers = { Range: `bytes=${from}-${from + rangeBytes - 1}` };
        return { method: 'GET', path: pathOf(large), headers, status: 206, bodyBytes: rangeBytes };
      });
      const { port } = server;
      return perSecond(
        await generator.run({ kind: 'requests', port, connections: MANY, seconds: round.seconds, requests }),
      );
    },
    verify: (target, { large }) => verifyDigest(target, pathOf(large), large.digest),
  };
}

async function seedBlobs(target: Target): Promise<Blobs> {
  const { sizes } = target;
  return {
    small: await seedBlob(target, sizes.smallBlobBytes),
    medium: await seedBlob(target, sizes.mediumBlobBytes),
    large: await seedBlob(target, sizes.largeBlobBytes),
  };
}

async function seedBlob({ generator, server }: Target, sizeBytes: number): Promise<PushedBlob> {
  const { blobs } = await generator.run({
    kind: 'push',
    port: server.port,
    connections: 1,
    repository: REPOSITORY,
    form: 'patch',
    sizeBytes,
    count: 1,
    label: 'to be read',
  });
  const [blob] = blobs;
  if (!blob) throw new Error('no blob was pushed');
  return blob;
}

function pathOf({ digest }: PushedBlob): string {
  return `/v2/${REPOSITORY}/blobs/${digest}`;
}
