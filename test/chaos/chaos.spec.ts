import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { describeWithRadosgw } from '../support/radosgw.js';
import { skipped } from '../support/small-disk.js';
import { ChaosRun } from './chaos-run.js';
import { chaosSettings, chaosStorages } from './settings.js';

/** Set-up and removal. */
const MARGIN_MS = 600_000;

for (const storage of chaosStorages(process.env)) {
  const settings = chaosSettings(process.env, storage);
  const describing = storage === 's3' ? describeWithRadosgw : describe;
  describing(`A cluster with many faults at once: ${storage}`, () => {
    it(
      'loses nothing acknowledged, and leaves no orphans',
      async () => {
        const run = new ChaosRun(settings);
        await run.execute();
        process.stdout.write(run.table);
        if (run.results.problems.length > 0 || process.env['CHAOS_JOURNAL'])
          process.stderr.write(`${run.results.report()}\n`);
        expect(run.results.problems).toEqual([]);
        expect(run.results.bytesLost).toBe(0);
        if (run.results.tooSlow !== undefined)
          process.stderr.write(`too slow to tell: ${run.results.tooSlow}\n`);
        if (run.storageProblem !== undefined) skipped(run.storageProblem);
      },
      settings.limitSeconds * 1000 + MARGIN_MS,
    );
  });
}
