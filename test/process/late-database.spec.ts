import { describe, it } from '@jest/globals';
import { useLateDatabase } from '../support/late-database.js';

const late = useLateDatabase();

// test/long/late-database.spec.ts has the same with workers and the other signal, and the end of the wait.
describe('a start before its external database', () => {
  it('waits for it and reports that', async () => {
    await late.expectPatience();
  });

  it('ends at once on SIGTERM', async () => {
    await late.expectEnd('SIGTERM');
  });
});
