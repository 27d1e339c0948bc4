import { describe, it } from '@jest/globals';
import { useLateDatabase } from '../support/late-database.js';

const late = useLateDatabase();

describe('a start before its external database', () => {
  it('waits for it and reports that, with workers', async () => {
    await late.expectPatience({ WORKERS: '2' });
  });

  it('ends at once on SIGINT', async () => {
    await late.expectEnd('SIGINT');
  });
});
