import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { describeWithRadosgw } from '../../support/radosgw.js';
import { CollectionRun } from './collection-run.js';
import { collectionSettings } from './collection-settings.js';

/** Set-up and removal. */
const MARGIN_MS = 600_000;

for (const settings of collectionSettings(process.env)) {
  const describing = settings.storage === 's3' ? describeWithRadosgw : describe;
  describing(`Three replicas that collect while clients push and delete: ${settings.storage}`, () => {
    it(
      'lose nothing that is needed, and leave nothing else',
      async () => {
        const run = new CollectionRun(settings);
        await run.execute();
        process.stdout.write(run.table);
        const { results } = run;
        if (results.problems.length > 0) process.stderr.write(`${results.report()}\n`);
        expect(results.problems).toEqual([]);
        if (results.tooSlow !== undefined) process.stderr.write(`too slow to tell: ${results.tooSlow}\n`);
      },
      settings.limitSeconds * 1000 + MARGIN_MS,
    );
  });
}
