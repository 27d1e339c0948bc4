import type { UploadForm } from '../load/jobs.js';
import { median } from '../report/statistics.js';
import type { LimitContext, LimitFigure } from './limit.js';

const MAX_PUSHES_PER_SECOND = 50_000;
/** At most this many large pushes in a round. */
const MAX_LARGE_PUSHES = 8;

export interface LimitedPush {
  readonly sizeBytes: number;
  readonly connections: number;
  readonly form: UploadForm;
  readonly unit: 'pushes/s' | 'MB/s';
}

/** The rate of pushes to a server that is no registry: the median of rounds, after a warm-up. */
export async function pushLimit(
  { generator, rounds, seconds }: LimitContext,
  port: number,
  { sizeBytes, connections, form, unit }: LimitedPush,
): Promise<LimitFigure> {
  const values: number[] = [];
  let generatorCpu = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const result = await generator.run({
      kind: 'push',
      port,
      connections,
      repository: 'canned',
      form,
      sizeBytes,
      count: unit === 'MB/s' ? MAX_LARGE_PUSHES * connections : Math.ceil(seconds * MAX_PUSHES_PER_SECOND),
      seconds,
      label: `canned ${round}`,
    });
    if (round === 0) continue;
    values.push((unit === 'MB/s' ? result.bytes / 1e6 : result.latenciesMs.length) / result.seconds);
    generatorCpu = Math.max(generatorCpu, result.generatorCpu);
  }
  return { value: median(values), generatorCpu };
}
