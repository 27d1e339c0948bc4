import type { JobResult, PushedBlob } from '../load/jobs.js';
import { MemoryWatch } from '../servers/memory-watch.js';
import { defineGroup, type BenchCase, type CaseGroup, type Measured, type Target } from './bench-case.js';
import { verifyDigest } from './check.js';
import { sizeText, type Sizes } from './sizes.js';

const REPOSITORY = 'bench/memory';

interface Pushed {
  blobs: readonly PushedBlob[];
}

/** Peaks of memory while many layers are pushed or pulled at once, on servers that have just started. */
export function memoryPeaks(sizes: Sizes): CaseGroup[] {
  return sizes.memoryBytes.map((sizeBytes) => {
    const what = `of ${sizeText(sizeBytes)} at once`;
    const pushes: BenchCase<Pushed> = {
      name: `memory, ${sizes.memoryConnections} pushes ${what}`,
      unit: 'MiB',
      single: true,
      run: (target, pushed) => watched(target, () => push(target, pushed, sizeBytes)),
      verify,
    };
    const pulls: BenchCase<Pushed> = {
      name: `memory, ${sizes.memoryConnections} pulls ${what}`,
      unit: 'MiB',
      single: true,
      run: async (target, pushed) => {
        if (pushed.blobs.length === 0) await push(target, pushed, sizeBytes);
        return watched(target, () => pull(target, pushed));
      },
      verify,
    };
    const seed = (): Promise<Pushed> => Promise.resolve({ blobs: [] });
    return defineGroup(`memory ${what}`, seed, [pushes, pulls]);
  });
}

async function watched({ server }: Target, work: () => Promise<JobResult>): Promise<Measured> {
  const watch = MemoryWatch.start(server);
  const result = await work().finally(() => watch.stop());
  const { serving, database } = watch.stop();
  return {
    value: serving.rssKib / 1024,
    latenciesMs: result.latenciesMs,
    generatorCpu: result.generatorCpu,
    details: {
      'RSS MiB': serving.rssKib / 1024,
      'PSS MiB': serving.pssKib / 1024,
      'PSS MiB before': watch.pssKibBefore / 1024,
      'PostgreSQL RSS MiB': database.rssKib / 1024,
      'PostgreSQL PSS MiB': database.pssKib / 1024,
      'MB/s': result.bytes / 1e6 / result.seconds,
    },
  };
}

async function push(
  { generator, server, sizes }: Target,
  pushed: Pushed,
  sizeBytes: number,
): Promise<JobResult> {
  const result = await generator.run({
    kind: 'push',
    port: server.port,
    connections: sizes.memoryConnections,
    repository: REPOSITORY,
    form: 'patch',
    sizeBytes,
    count: sizes.memoryConnections,
    label: 'memory',
  });
  pushed.blobs = result.blobs;
  return result;
}

function pull({ generator, server, sizes }: Target, { blobs }: Pushed): Promise<JobResult> {
  return generator.run({
    kind: 'requests',
    port: server.port,
    connections: sizes.memoryConnections,
    seconds: Infinity,
    once: true,
    requests: blobs.map(({ digest, sizeBytes }) => ({
      method: 'GET',
      path: `/v2/${REPOSITORY}/blobs/${digest}`,
      status: 200,
      bodyBytes: sizeBytes,
    })),
  });
}

async function verify(target: Target, { blobs }: Pushed): Promise<void> {
  const last = blobs.at(-1);
  if (!last) throw new Error('no blob was pushed');
  await verifyDigest(target, `/v2/${REPOSITORY}/blobs/${last.digest}`, last.digest);
}
