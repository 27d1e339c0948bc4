import type { PlannedRequest, PushedBlob } from '../load/jobs.js';
import { defineGroup, perSecond, type CaseGroup, type Target } from './bench-case.js';
import { verifyDigest } from './check.js';

const SOURCE = 'bench/mount-source';
const CONNECTIONS = 16;
const BLOBS = 200;
/** Mounts prepared: more than any registry does in a second. */
const MAX_MOUNTS_PER_SECOND = 10_000;

/** Mounts of blobs into repositories that don't have them. */
export function mounts(): CaseGroup {
  return defineGroup('mounts', seedSource, [
    {
      name: `blob mount from another repository, ${CONNECTIONS} connections`,
      unit: 'requests/s',
      run: async ({ generator, server }, blobs, { number, seconds }) => {
        const requests = Array.from(
          { length: Math.ceil(seconds * MAX_MOUNTS_PER_SECOND) },
          (_, n): PlannedRequest => {
            const query = new URLSearchParams({ mount: blobs[n % blobs.length]?.digest ?? '', from: SOURCE });
            const path = `/v2/${targetName(number, n, blobs.length)}/blobs/uploads/?${query.toString()}`;
            return { method: 'POST', path, status: 201, bodyBytes: 0 };
          },
        );
        const { port } = server;
        return perSecond(
          await generator.run({
            kind: 'requests',
            port,
            connections: CONNECTIONS,
            seconds,
            requests,
            once: true,
          }),
        );
      },
      verify: async (target, [blob]) => {
        if (!blob) throw new Error('no blob was pushed');
        await verifyDigest(target, `/v2/${targetName(1, 0, 1)}/blobs/${blob.digest}`, blob.digest);
      },
    },
  ]);
}

/** Each repository gets all blobs, one after the other. */
function targetName(round: number, n: number, blobs: number): string {
  return `bench/mounted-${round}-${Math.floor(n / blobs)}`;
}

async function seedSource({ generator, server, sizes }: Target): Promise<readonly PushedBlob[]> {
  const { blobs } = await generator.run({
    kind: 'push',
    port: server.port,
    connections: CONNECTIONS,
    repository: SOURCE,
    form: 'put',
    sizeBytes: sizes.smallBlobBytes,
    count: BLOBS,
    label: 'to be mounted',
  });
  // They arrived in another order on each server.
  return [...blobs].sort((a, b) => (a.digest < b.digest ? -1 : 1));
}
