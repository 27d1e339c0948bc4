import { bareUploadsName, smallFilesName } from '../limits/limit-names.js';
import type { PushedBlob, UploadForm } from '../load/jobs.js';
import { defineGroup, megabytesPerSecond, perSecond, type BenchCase, type CaseGroup } from './bench-case.js';
import { verifyDigest } from './check.js';
import { connectionsText, sizeText, type Sizes } from './sizes.js';

const REPOSITORY = 'bench/pushed';
const CONNECTIONS = [8, 16];
/** Contents prepared before each round: more than any registry accepts in a second. */
const MAX_SMALL_PUSHES_PER_SECOND = 10_000;

const FORMS: readonly (readonly [UploadForm, string])[] = [
  ['put', 'POST + PUT'],
  ['patch', 'POST + PATCH + PUT'],
  ['stream', 'POST + chunked PATCH + PUT'],
  ['chunks', 'POST + PATCH of 16 MiB each + PUT'],
];

/** The last pushed blob. */
interface Pushed {
  last: PushedBlob | undefined;
}

/** Pushes of new contents. One group each, so that the disk holds the data of one group at a time. */
export function blobPushes(sizes: Sizes): CaseGroup[] {
  const seed = (): Promise<Pushed> => Promise.resolve({ last: undefined });
  return [
    defineGroup(
      'small pushes',
      seed,
      CONNECTIONS.map((count) => smallPushes(sizes, count)),
    ),
    ...FORMS.map(([form, name]) =>
      defineGroup(`large pushes by ${form}`, seed, [largePush(sizes, form, name)]),
    ),
  ];
}

function smallPushes({ smallBlobBytes: sizeBytes }: Sizes, connections: number): BenchCase<Pushed> {
  return {
    name: `blob push ${sizeText(sizeBytes)}, POST + PUT, ${connectionsText(connections)}`,
    unit: 'pushes/s',
    isPush: true,
    bound: { limit: smallFilesName(sizeBytes, connections), divisor: 1 },
    run: async ({ generator, server }, pushed, { number, seconds }) => {
      const result = await generator.run({
        kind: 'push',
        port: server.port,
        connections,
        repository: REPOSITORY,
        form: 'put',
        sizeBytes,
        count: Math.ceil(seconds * MAX_SMALL_PUSHES_PER_SECOND),
        seconds,
        label: `small round ${number} of ${connections}`,
      });
      pushed.last = result.blobs.at(-1);
      return perSecond(result);
    },
    verify: verifyLast,
  };
}

function largePush(sizes: Sizes, form: UploadForm, name: string): BenchCase<Pushed> {
  return {
    name: `blob push ${sizeText(sizes.largeBlobBytes)}, ${name}, 1 connection`,
    unit: 'MB/s',
    isPush: true,
    bound: { limit: bareUploadsName(sizes.largeBlobBytes, 1), divisor: 1 },
    run: async ({ generator, server }, pushed, { number }) => {
      const result = await generator.run({
        kind: 'push',
        port: server.port,
        connections: 1,
        repository: REPOSITORY,
        form,
        sizeBytes: sizes.largeBlobBytes,
        count: number < 1 ? 1 : sizes.largePushesPerRound,
        label: `${form} round ${number}`,
      });
      pushed.last = result.blobs.at(-1);
      return megabytesPerSecond(result);
    },
    verify: verifyLast,
  };
}

const verifyLast: BenchCase<Pushed>['verify'] = async (target, { last }) => {
  if (!last) throw new Error('no blob was pushed');
  await verifyDigest(target, `/v2/${REPOSITORY}/blobs/${last.digest}`, last.digest);
};
