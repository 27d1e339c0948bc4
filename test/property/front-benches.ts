import { afterAll, beforeAll } from '@jest/globals';
import fc from 'fast-check';
import { FrontBench } from './front-bench.js';
import { runs } from './runs.js';

/** Most of a run is spent with waiting, so several of them run at once, each with a front of its own. */
export class FrontBenches {
  constructor(private readonly benches: readonly FrontBench[]) {}

  /** Tries a property on each bench, with different seeds. A path is repeated on the first one. */
  async check<T>(
    numRuns: number,
    arbitrary: fc.Arbitrary<T>,
    holds: (bench: FrontBench, value: T) => Promise<unknown>,
  ): Promise<void> {
    const { seed, path, numRuns: total } = runs(numRuns);
    const used = path === undefined ? this.benches : this.benches.slice(0, 1);
    const parameters = { numRuns: Math.ceil(total / used.length), ...(path !== undefined && { path }) };
    await Promise.all(
      used.map((bench, n) => {
        const property = fc.asyncProperty(arbitrary, async (value) => {
          await holds(bench, value);
        });
        return fc.assert(property, { ...parameters, ...(seed !== undefined && { seed: seed + n }) });
      }),
    );
  }

  /** Does all of the work, each piece on the next free bench. */
  async each<T>(pieces: Iterable<T>, work: (bench: FrontBench, piece: T) => Promise<unknown>): Promise<void> {
    const iterator = pieces[Symbol.iterator]();
    await Promise.all(
      this.benches.map(async (bench) => {
        for (let next = iterator.next(); next.done !== true; next = iterator.next())
          await work(bench, next.value);
      }),
    );
  }

  get first(): FrontBench {
    const [bench] = this.benches;
    if (bench === undefined) throw new Error('there are no benches');
    return bench;
  }
}

/** Benches for the tests of a file or a `describe`. Use them in tests only. */
export function useFrontBenches(
  count: number,
  settings?: Readonly<Record<string, string>>,
): () => FrontBenches {
  let benches: readonly FrontBench[] = [];
  beforeAll(async () => {
    benches = await Promise.all(Array.from({ length: count }, () => FrontBench.start(settings)));
  });
  afterAll(() => Promise.all(benches.map((bench) => bench.close())));
  return () => new FrontBenches(benches);
}
