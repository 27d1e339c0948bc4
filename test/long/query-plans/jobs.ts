import { beforeAll, describe, expect, it } from '@jest/globals';
import { NO_REQUEST } from '../../../src/audit/audit-event.js';
import { JobRequests } from '../../../src/jobs/job-requests.js';
import { type JobClaim, JobStore } from '../../../src/jobs/job.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';

const JOB = 'reap';
const PAGE = 100;
/** An event of the audit log, which has several indexes. */
const EVENT = 3;
const ORIGIN = { ...NO_REQUEST, requestId: 'a request' };
/** Each run that ends deletes at most so many old ones. */
const DELETED = 100;
const HISTORY_SECONDS = 30 * 24 * 60 * 60;

export function describeJobs(registry: PlannedRegistry): void {
  describe('jobs', () => {
    const store = () => registry.berth.app.get(JobStore);
    const requests = () => registry.berth.app.get(JobRequests);
    const nothing = { cursor: null, progress: {} };
    let claim: JobClaim;

    beforeAll(() =>
      registry.look(
        `INSERT INTO job_runs (job, state, is_requested, is_dry_run, ended_at)
         SELECT (ARRAY['${JOB}', 'collect', 'prune-audit-log'])[1 + n % 3], 'succeeded', true, false,
                now() - (60000 - n) * interval '1 minute'
           FROM generate_series(1, 50000) AS n`,
      ),
    );

    it('a look without a run that is due', async () => {
      await store().claim(JOB, 3_600);
      await registry.expectCost(1, () => store().claim(JOB, 3_600));
    });
    it('a request, its claim, and what the run saves', async () => {
      await registry.expectCost(EVENT, () => requests().run(JOB, false, ORIGIN));
      await registry.expectCost(1, async () => {
        const result = await store().claim(JOB, 3_600);
        if (result.claim !== undefined) claim = result.claim;
      });
      await registry.expectCost(1, () => store().save(claim, nothing));
      await registry.expectCost(1, () => store().prolong(claim));
      await registry.expectCost(EVENT, () => requests().stop(claim.runId, ORIGIN));
      await registry.expectCost(1, () => store().release(claim, nothing));
    });
    it('the end of a run, which deletes old ones', async () => {
      const result = await store().claim(JOB, 3_600);
      expect(result.claim).toBeDefined();
      if (result.claim !== undefined) claim = result.claim;
      const end = { ...nothing, state: 'succeeded', error: null } as const;
      await registry.expectCost(DELETED, () => store().finish(claim, end, HISTORY_SECONDS));
    });
    it('a pause, and its end', async () => {
      await registry.expectCost(EVENT, () => requests().setPaused(JOB, true, ORIGIN));
      await registry.expectCost(EVENT, () => requests().setPaused(JOB, false, ORIGIN));
    });
    it.each([
      ['a list', '/jobs', 10],
      ['a page of runs', `/jobs/${JOB}/runs?limit=${PAGE}`, PAGE],
      ['one run', '/job-runs/50000', 1],
    ])('%s', async (_, path, items) => {
      await registry.expectCost(items, () => registry.admin.get(path));
    });
  });
}
