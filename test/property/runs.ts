/** For an ordinary run, so that a failure is about the change and not about the dice. */
const SEED = 2014;

/**
 * How often a property is tried. `PROPERTY_RUNS` multiplies it, for a soak, which begins with a seed of its
 * own; a failure prints it with the path to where it was shrunk to: `PROPERTY_SEED` and `PROPERTY_PATH`
 * repeat that.
 */
export function runs(numRuns: number): { numRuns: number; seed?: number; path?: string } {
  const { PROPERTY_RUNS: factor, PROPERTY_SEED: given, PROPERTY_PATH: path } = process.env;
  const seed = given === undefined ? (factor === undefined ? SEED : undefined) : Number(given);
  return {
    numRuns: Math.max(1, Math.round(numRuns * Number(factor ?? 1))),
    ...(seed !== undefined && { seed }),
    ...(path !== undefined && { path }),
  };
}
