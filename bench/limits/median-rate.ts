import { median } from '../report/statistics.js';

/** Units of work per second: the median of rounds, after a warm-up. */
export async function medianRate(
  rounds: number,
  units: number,
  work: () => Promise<void> | void,
): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const begun = performance.now();
    await work();
    if (round > 0) rates.push((units * 1000) / (performance.now() - begun));
  }
  return median(rates);
}
