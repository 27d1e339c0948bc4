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
  describing(`Berths to which everything happens at once: ${storage}`, () => {
    it(
      'lose nothing that they acknowledged, and leave nothing behind',
      async () => {
        const run = new ChaosRun(settings);
        await run.execute();
        process.stdout.write(run.table);
        if (run.ledger.problems.length > 0 || process.env['CHAOS_STORY'])
          process.stderr.write(`${run.ledger.story()}\n`);
        expect(run.ledger.problems).toEqual([]);
        expect(run.ledger.bytesLost).toBe(0);
        if (run.ledger.tooSlow !== undefined)
          process.stderr.write(`too slow to tell: ${run.ledger.tooSlow}\n`);
        if (run.storageProblem !== undefined) skipped(run.storageProblem);
      },
      settings.limitSeconds * 1000 + MARGIN_MS,
    );
  });
}
