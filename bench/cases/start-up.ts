import type { PushedImage } from '../load/jobs.js';
import { defineGroup, type CaseGroup } from './bench-case.js';
import { verifyDigest } from './check.js';
import { pushSmallImage } from './manifests.js';

const REPOSITORY = 'bench/kept';

/** Time from the start of a registry with data to its first response. */
export function startUp(): CaseGroup {
  return defineGroup<PushedImage>('start-up', (target) => pushSmallImage(target, REPOSITORY, 'kept'), [
    {
      name: 'start on existing data, to the first 200',
      unit: 'ms',
      run: async ({ server }) => {
        await server.stop();
        const begun = performance.now();
        await server.start();
        return { value: performance.now() - begun, latenciesMs: new Float32Array(), generatorCpu: undefined };
      },
      verify: (target, { tag, manifest }) =>
        verifyDigest(target, `/v2/${REPOSITORY}/manifests/${tag}`, manifest.digest),
    },
  ]);
}
