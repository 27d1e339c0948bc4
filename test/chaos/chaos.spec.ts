import { describe, expect, it } from '@jest/globals';
import { skipped } from '../support/small-disk.js';
import { ChaosRun } from './chaos-run.js';
import { chaosSettings } from './settings.js';

const settings = chaosSettings(process.env);
/** Setting up and taking away. */
const MARGIN_MS = 120_000;

describe('Berths to which everything happens at once', () => {
  it(
    'lose nothing that they acknowledged, and leave nothing behind',
    async () => {
      const run = new ChaosRun(settings);
      await run.execute();
      process.stdout.write(run.table);
      if (run.ledger.problems.length > 0) process.stderr.write(`${run.ledger.story()}\n`);
      expect(run.ledger.problems).toEqual([]);
      expect(run.ledger.bytesLost).toBe(0);
      if (run.diskProblem !== undefined) skipped(run.diskProblem);
    },
    settings.limitSeconds * 1000 + MARGIN_MS,
  );
});
