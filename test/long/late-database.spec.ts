import { describe, expect, it } from '@jest/globals';
import { TIMEOUT_MS, useLateDatabase, WAITING } from '../support/late-database.js';

const late = useLateDatabase();

describe('a start before its external database', () => {
  it('waits for it and reports that, with workers', async () => {
    await late.expectPatience({ WORKERS: '2' });
  });

  it('fails with a sentence that names how long it waited', async () => {
    const port = await late.freePort();
    const { code, stdout, stderr } = await late.bench.start(late.settings(port, 1)).ended(TIMEOUT_MS);
    expect(code).toBe(1);
    expect(stdout).toMatch(WAITING);
    expect(stderr).toMatch(/^Can't use the database of DATABASE_URL: connect ECONNREFUSED \S+; /);
    expect(stderr).toMatch(/; waited \d+ s for it \(DATABASE_WAIT_SECONDS\)\.\n$/);
    expect(stderr).toContain(`127.0.0.1:${port}`);
  });

  it('ends at once on SIGINT', async () => {
    await late.expectEnd('SIGINT');
  });
});
