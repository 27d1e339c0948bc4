import { median } from '../report/statistics.js';
import type { LimitContext, LimitFigure } from './limit.js';

/** The rate of one repeated GET: the median of rounds, after a warm-up. */
export async function getLimit(
  { generator, rounds, seconds }: LimitContext,
  get: { port: number; path: string; bodyBytes: number; connections: number; unit: 'requests/s' | 'MB/s' },
): Promise<LimitFigure> {
  const request = { method: 'GET', path: get.path, status: 200, bodyBytes: get.bodyBytes } as const;
  const values: number[] = [];
  let generatorCpu = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const { port, connections } = get;
    const result = await generator.run({ kind: 'requests', port, connections, seconds, requests: [request] });
    if (round === 0) continue;
    const amount = get.unit === 'MB/s' ? result.bytes / 1e6 : result.latenciesMs.length;
    values.push(amount / result.seconds);
    generatorCpu = Math.max(generatorCpu, result.generatorCpu);
  }
  return { value: median(values), generatorCpu };
}
