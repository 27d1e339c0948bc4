import { expect, it } from '@jest/globals';
import { CollectionRun } from './collection-run.js';
import type { CollectionSettings } from './collection-settings.js';

/** Set-up and removal. */
const MARGIN_MS = 600_000;

/** Defines the test of a run, which prints its table. */
export function itCollects(settings: CollectionSettings): void {
  it(
    'loses nothing that is needed, and leaves nothing else',
    async () => {
      const run = new CollectionRun(settings);
      await run.execute();
      process.stdout.write(run.table);
      const { problems, tooSlow } = run.results;
      if (problems.length > 0) process.stderr.write(`${run.results.report()}\n`);
      expect(problems).toEqual([]);
      if (tooSlow !== undefined) process.stderr.write(`too slow to tell: ${tooSlow}\n`);
    },
    settings.limitSeconds * 1000 + MARGIN_MS,
  );
}
